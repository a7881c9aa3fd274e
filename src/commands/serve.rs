//! `ablate serve`: a results folder, live in a browser.

use super::{Done, Place, print, say};
use crate::serve::Server;
use std::net::SocketAddr;

/// Arguments of `ablate serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It only reads, and answers nobody without the token in the address that it prints. From another machine, make a
tunnel and open the same address there:
  ssh -L 8642:localhost:8642 machine

Examples:
  ablate serve
  ablate serve --results /scratch/results --listen 127.0.0.1:0     (any free port)"
)]
pub(super) struct Serve {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8642")]
    listen: SocketAddr,
    /// A name of this machine under which it may be asked for, besides localhost and the address.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

impl Serve {
    pub(super) fn run(self, place: &Place) -> Done {
        let root = place.alone();
        let server = Server::open(&root, self.listen, self.names)?;
        if !self.listen.ip().is_loopback() {
            say("note: other machines can reach this address; what they see is not encrypted");
        }
        print(&server.address);
        say(&format!("{} is shown there until Ctrl-C", root.display()));
        server.run()?;
        Ok(0)
    }
}
