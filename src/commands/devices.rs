//! `ablate devices`: what a run can use on this machine, and who uses it now.

use super::{Done, Place, control, print};
use crate::coordinator::Order;
use crate::pool::{self, Card};
use crate::store::Results;
use crate::words::{self, plural};

/// Arguments of `ablate devices`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A run takes every GPU that CUDA_VISIBLE_DEVICES allows and nobody else uses, or else all cores.
`ablate run SPEC --devices cuda:0,2` takes these, whoever uses them; `--devices cpu:4` takes four cores.

Examples:
  ablate devices
  ablate devices --add cuda:3           (while a run goes on)"
)]
pub(super) struct Devices {
    /// Let the run in this results folder use these devices too, such as cuda:3.
    #[arg(long, value_name = "DEVICES")]
    add: Option<String>,
    /// Let it start nothing more on a device of its, such as gpu-3 or core-0.
    #[arg(long, value_name = "SLOT", conflicts_with = "add")]
    drop: Option<String>,
}

impl Devices {
    pub(super) fn run(&self, place: &Place) -> Done {
        let order = match (&self.add, &self.drop) {
            (Some(devices), _) => Some(Order::Add(devices.clone())),
            (_, Some(name)) => Some(Order::Drop(name.clone())),
            _ => None,
        };
        if let Some(order) = order {
            return control::ask(&Results { root: place.alone() }, &order);
        }
        let cards = pool::cards();
        let usable = pool::devices_here(None)?;
        let root = place.alone();
        let ours = match root.join("workers").exists() {
            true => pool::known_workers(&Results::open(&root)?),
            false => vec![],
        };
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        for card in &cards {
            let is_usable = usable.iter().any(|d| d.visible.as_ref() == Some(&card.uuid));
            table.add_row([
                format!("cuda:{}", card.index),
                card.model.clone(),
                format!("{} of {}", words::bytes(card.used), words::bytes(card.memory)),
                who(card, &ours, is_usable),
                card.uuid.clone(),
            ]);
        }
        if !cards.is_empty() {
            print(&table.trim_fmt());
        }
        let without = if cards.is_empty() { ", no GPU is visible" } else { "" };
        print(&format!("cpu: {}{without}", plural(pool::cores(), "core")));
        Ok(0)
    }
}

/// Who computes on a card.
fn who(card: &Card, ours: &[u32], is_usable: bool) -> String {
    let others = card.others(ours);
    let programs: Vec<String> = others.iter().map(|pid| pool::program(*pid)).collect();
    let working = card.processes.len() - others.len();
    match (is_usable, programs.is_empty(), working) {
        (false, ..) => "not in CUDA_VISIBLE_DEVICES".to_owned(),
        (true, false, _) => format!("used by {}, left to others", programs.join(", ")),
        (true, true, 0) => "free".to_owned(),
        (true, true, n) => plural(n, "worker of this folder"),
    }
}
