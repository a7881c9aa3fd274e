//! Help that a newcomer understands, and completions for every shell.

use crate::bench::{Bench, SPEC};

#[test]
fn the_first_page_lists_every_command_once_in_the_order_of_use() {
    let bench = Bench::new(SPEC);
    let help = bench.ablate(&["--help"]).expect(0).out;
    let commands = ["init", "check", "plan", "run", "status", "why", "figure", "table", "export"];
    let at = |word: &str| {
        let places: Vec<usize> = help.match_indices(&format!("\n  {word} ")).map(|m| m.0).collect();
        assert_eq!(places.len(), 1, "{word} in\n{help}");
        places[0]
    };
    let places: Vec<usize> = commands.iter().map(|word| at(word)).collect();
    assert!(places.is_sorted(), "{help}");
    assert!(help.contains("--results <DIR>") && help.contains("75 stopped"), "{help}");
    assert_eq!(bench.ablate(&["-h"]).expect(0).out, help, "short and long help are one page");
}

#[test]
fn every_command_says_what_it_does_and_names_its_arguments() {
    let bench = Bench::new(SPEC);
    let help = bench.ablate(&["--help"]).expect(0).out;
    let listed = help.lines().filter_map(|line| {
        let rest = line.strip_prefix("  ").filter(|rest| rest.starts_with(char::is_lowercase))?;
        rest.split_whitespace().next()
    });
    let commands: Vec<&str> = listed.filter(|word| *word != "help").collect();
    assert!(commands.len() >= 17, "{commands:?}");
    for command in commands {
        let page = bench.ablate(&[command, "--help"]).expect(0).out;
        assert!(page.contains("Usage: ablate"), "{page}");
        assert!(!page.contains("Arguments:\n  <SPEC>\n"), "an argument without a word: {page}");
    }
}

#[test]
fn every_shell_gets_completions() {
    let bench = Bench::new(SPEC);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.ablate(&["completions", shell]).expect(0).out;
        for word in ["completions", "merge", "results"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    bench.ablate(&["completions", "tcsh"]).expect(2);
}
