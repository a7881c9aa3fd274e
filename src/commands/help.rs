//! The first page of `ablate --help`: the commands in the order in which a user meets them.

use clap::Command;

/// The commands by what they are for; one that is named nowhere is listed at the end.
const GROUPS: [(&str, &[&str]); 7] = [
    ("Write a spec", &["init", "import", "check", "graph", "schema"]),
    ("Run it", &["devices", "plan", "run", "status", "log"]),
    ("While it runs", &["pause", "resume", "stop", "first", "tick", "cancel"]),
    ("Ask why", &["why", "show", "select", "compare"]),
    ("See results", &["serve", "report", "figure", "table", "query", "export"]),
    ("Publish", &["paper", "bundle"]),
    ("Keep results", &["verify", "clean", "merge", "adopt", "rebuild"]),
];

/// The same command with its subcommands listed in groups.
pub(super) fn grouped(command: Command) -> Command {
    let mut listed = String::new();
    for (title, names) in GROUPS {
        let known = names.iter().filter_map(|name| command.find_subcommand(name));
        listed += &group(title, known);
    }
    let is_named = |name: &str| GROUPS.iter().any(|(_, all)| all.contains(&name));
    let is_other = |other: &&Command| !other.is_hide_set() && !is_named(other.get_name());
    listed += &group("And", command.get_subcommands().filter(is_other));
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{listed}Options:\n{{options}}{{after-help}}"
    );
    command.help_template(template)
}

fn group<'c>(title: &str, commands: impl Iterator<Item = &'c Command>) -> String {
    let lines: String = commands
        .map(|command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            format!("  {:<12} {about}\n", command.get_name())
        })
        .collect();
    if lines.is_empty() { lines } else { format!("{title}:\n{lines}\n") }
}
