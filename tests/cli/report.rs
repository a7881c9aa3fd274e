//! The report as a browser shows it.

use crate::bench::{Bench, SPEC};
use crate::figures::have;
use std::fs;
use std::process::Command;

/// Opens the page in a browser, does what `script` says, and returns what it leaves in `document.title`, with everything
/// that was written to the console.
fn in_browser(bench: &Bench, page: &str, script: &str) -> (String, String) {
    let text = fs::read_to_string(bench.path(page)).unwrap();
    let script = format!("<script>\ndocument.title = (() => {{ {script} }})();\n</script></body>");
    fs::write(bench.path("driven.html"), text.replace("</body>", &script)).unwrap();
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]);
    browser.arg(format!("--user-data-dir={}", bench.path("browser").display()));
    browser.arg("--dump-dom").arg(format!("file://{}", bench.path("driven.html").display()));
    let output = browser.output().unwrap();
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let console: Vec<&str> = said.lines().filter(|line| line.contains(":CONSOLE")).collect();
    (title.unwrap_or_default().0.to_owned(), console.join("\n"))
}

#[test]
fn the_report_sorts_filters_and_asks_for_nothing_from_the_network() {
    if !have("chromium") {
        return;
    }
    let bench = Bench::new(&SPEC.replace("does it run?", "is 1 < 2 & \"so\" on?"));
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.ablate(&["report", "spec.yaml"]).expect(0);
    let page = "results/spec/report.html";
    let text = fs::read_to_string(bench.path(page)).unwrap();
    assert!(text.contains("is 1 &lt; 2 &amp; &quot;so&quot; on?"));
    for wanted in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!text.contains(wanted), "{wanted}");
    }
    assert!(text.len() < 10 << 20);
    assert!(
        text.contains("<li>Lowest score.power_spectrum.error: ")
            && text.contains("(fewer than 5 seeds are not tested)")
    );
    let (seen, console) = in_browser(
        &bench,
        page,
        "const column = n => [...document.querySelectorAll('#tables tbody tr')].map(row => row.cells[n].textContent);
         const buttons = document.querySelectorAll('#tables th button');
         buttons[2].click(); const up = column(2).map(parseFloat);
         buttons[2].click(); const down = column(2).map(parseFloat);
         const rising = list => list.every((x, i) => i === 0 || list[i - 1] <= x);
         const filter = document.getElementById('filter');
         filter.value = 'train cosine'; filter.dispatchEvent(new Event('input'));
         const left = [...document.querySelectorAll('.node')].filter(node => !node.hidden).length;
         return [up.length, rising(up), rising(down.reverse()), left, document.getElementById('shown').textContent,
                 location.hash, document.querySelectorAll('#figures svg, #graph svg').length,
                 document.documentElement.scrollWidth <= window.innerWidth].join('|');",
    );
    assert_eq!(console, "");
    assert_eq!(seen, "4|true|true|2|2 of 21|#nodes?train%20cosine|2|true");
}

#[test]
fn failures_come_first_with_their_log_and_equal_ones_together() {
    let bench = Bench::new(SPEC);
    let orders = "fail net[schedule=cosine,seed=0];fail net[schedule=cosine,seed=1]";
    bench.ablate_with(&["run", "spec.yaml"], orders).expect(1);
    bench.ablate(&["report", "spec.yaml"]).expect(0);
    let text = fs::read_to_string(bench.path("results/spec/report.html")).unwrap();
    let at = |piece: &str| text.find(piece).unwrap_or_else(|| panic!("{piece}"));
    assert!(at("id=\"failures\"") < at("id=\"tables\""));
    assert!(text.contains("and 1 more alike") && text.contains("failing as told"));
    assert!(text.contains("The table main shows a part."));
    assert_eq!(text.matches("class=\"node failed\"").count(), 2);
}

#[test]
fn a_bundle_holds_all_that_a_supplement_needs_and_describes_it() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let pack = || {
        bench.ablate(&["bundle", "spec.yaml", "-o", "s.zip", "--license", "CC-BY-4.0"]).expect(0);
        fs::read(bench.path("s.zip")).unwrap()
    };
    assert!(pack() == pack(), "the same bytes");
    let mut archive = zip::ZipArchive::new(fs::File::open(bench.path("s.zip")).unwrap()).unwrap();
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    for wanted in [
        "spec/spec.yaml",
        "spec/merged.json",
        "figures/spectra.pdf",
        "tables/main.tex",
        "tables/numbers.tex",
        "data/results.csv",
        "report.html",
    ] {
        assert!(names.iter().any(|name| name == wanted), "{wanted} in {names:?}");
    }
    assert_eq!(names.iter().filter(|name| name.ends_with("/node.json")).count(), 21);
    let about = archive.by_name("ro-crate-metadata.json").unwrap();
    let about: serde_json::Value = serde_json::from_reader(about).unwrap();
    let all = about["@graph"].as_array().unwrap();
    let entity =
        |id: &str| all.iter().find(|one| one["@id"] == id).unwrap_or_else(|| panic!("{id}"));
    assert_eq!(entity("./")["license"]["@id"], "https://spdx.org/licenses/CC-BY-4.0");
    assert_eq!(entity("#table-main")["object"].as_array().unwrap().len(), 8);
    // Whatever is named is described, and is there.
    for part in entity("./")["hasPart"].as_array().unwrap() {
        let id = part["@id"].as_str().unwrap();
        entity(id);
        assert!(names.iter().any(|name| name == id || name.starts_with(id)), "{id}");
    }
    // The merged spec is a spec.
    let mut merged = String::new();
    std::io::Read::read_to_string(&mut archive.by_name("spec/merged.json").unwrap(), &mut merged)
        .unwrap();
    fs::write(bench.path("merged.yaml"), merged).unwrap();
    bench.ablate(&["check", "merged.yaml"]).expect(0);
}
