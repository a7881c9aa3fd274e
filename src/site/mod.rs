//! A site: how pilots are asked for on a cluster, read from a fragment in `configs/sites/`, and the text of the script
//! that its scheduler gets. The text is a function of the site and the names in it.

mod pools;

use crate::problem::{Problem, Problems};
use crate::settings::table::{choice, table};
use crate::settings::{Found, Identity, Reader, Setting, Shape, spelled};
use crate::spec::{Duration, Merged};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use pools::{OWN, Pool, PoolSettings, Pools, Request, class, class_of, has_own_job, pool_of};

table! {
    /// How pilots are asked for.
    pub struct Site {
        #[doc = "Options of `sbatch`, long names without dashes: { partition: gpu, gres: \"gpu:1\", time: \"4:00:00\" }."]
        sbatch: Options = Options::default();
        #[doc = "How many pilots there may be at once."]
        most: u64 [1.0..=10000.0] = 4;
        #[doc = "How many jobs one pilot runs at once, until it says so itself: its GPUs, or its cores where it has none."]
        slots: u64 [1.0..=1000.0] = 1;
        #[doc = "A pilot without a job leaves after so long."]
        idle: Duration = Duration(60.0);
        #[doc = "So long before its end a pilot lets everything save."]
        margin: Duration = Duration(120.0);
        #[doc = "A pilot that gives no sign of life for so long is taken for lost."]
        patience: Duration = Duration(60.0);
        #[doc = "Time between two questions to the scheduler."]
        poll: Duration = Duration(30.0);
        #[doc = "Modules that are loaded first."]
        modules: Vec<String> = vec![];
        #[doc = "Lines of shell that come before the pilot, such as `source ~/env/bin/activate`."]
        prelude: Option<String>;
        #[doc = "How the pilot is started within the job."]
        launch: Launch = Launch::Srun;
        #[doc = "The devices of a pilot, such as `cpu:4`, instead of all that its job has."]
        devices: Option<String>;
        #[doc = "Whether jobs may be submitted from within jobs: a pilot that leaves then asks for what can follow."]
        nodes_submit: bool = false;
        #[doc = "Commands of another scheduler than Slurm."]
        commands: Option<Commands>;
        #[doc = "Other machines for some nodes, by names: { cores: { kinds: [evaluate], sbatch: { partition: cpu } } }."]
        pools: Pools = Pools::default();
    }
    check check_site;
}

table! {
    /// How another scheduler than Slurm is spoken to, in commands of the shell.
    pub struct Commands {
        #[doc = "Submits the script `{script}` and prints the name of the job as its last word."]
        submit: String;
        #[doc = "Succeeds as long as the job `{id}` waits or runs."]
        alive: String;
        #[doc = "Cancels the job `{id}`."]
        cancel: String;
    }
}

choice! {
    /// How a pilot is started within its job.
    pub enum Launch {
        /// As a step: warnings and preemptions reach it.
        Srun = "srun",
        /// In place of the shell, where steps are awkward.
        Exec = "exec",
    }
}

/// Options of a submission, by their long names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(
    /// Values; empty for options that have none.
    pub BTreeMap<String, String>,
);

/// Options that are ours: the protocol depends on them.
const OURS: [&str; 8] =
    ["array", "job-name", "output", "error", "open-mode", "signal", "parsable", "wrap"];

impl Setting for Options {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(map) = found.value.as_object() else {
            let problem = Problem::new(format!("`{}` is not a map of options", found.shown()));
            return reader
                .wrong(found, problem.help("for example { partition: gpu, gres: \"gpu:1\" }"));
        };
        let mut read = BTreeMap::new();
        for (name, value) in map {
            let is_name = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !name.starts_with('-');
            let problem = if OURS.contains(&name.as_str()) {
                Problem::new(format!("`{name}` is set by ablate itself"))
            } else if !is_name {
                Problem::new(format!("`{name}` is no option"))
                    .help("long names, without dashes before them")
            } else if !matches!(
                value,
                Value::String(_) | Value::Number(_) | Value::Bool(true) | Value::Null
            ) || value.as_str().is_some_and(|text| text.contains('\n'))
            {
                Problem::new(format!("`{name}` takes one value"))
                    .help("text, a number, or true for an option without one")
            } else {
                let none = matches!(value, Value::Bool(_) | Value::Null);
                read.insert(name.clone(), if none { String::new() } else { spelled(value) });
                continue;
            };
            reader.wrong_key(found, name, problem);
        }
        Some(Self(read))
    }
    fn write(&self, _: Identity) -> Value {
        json!(self.0)
    }
    fn shape() -> Shape {
        Shape::Free("map of options")
    }
}

fn check_site(site: &Site, found: &Found<'_>, reader: &mut Reader) {
    if site.margin.0 < 1.0 || site.patience.0 < 1.0 || site.poll.0 <= 0.0 {
        let problem = Problem::new(
            "`margin` and `patience` are of a second at least, and `poll` is more than nothing",
        );
        reader.wrong::<()>(found, problem);
    }
    for pool in site.all_pools() {
        if let Some(time) = pool.wall_time().filter(|time| *time <= site.margin.0) {
            let name =
                if pool.name.is_empty() { String::new() } else { format!(" of {}", pool.name) };
            let problem = Problem::new(format!(
                "the time{name} is {}, and all of it is `margin`, in which everything saves",
                crate::words::duration(crate::words::span(time))
            ));
            reader.wrong::<()>(found, problem.help("let `margin` be a small part of the time"));
        }
    }
    if site.commands.is_some() && !site.sbatch.0.is_empty() {
        let problem = Problem::new("`sbatch` means nothing to another scheduler");
        reader.wrong_key(found, "sbatch", problem.help("put its options into `commands.submit`"));
    }
}

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// So many pilots, for whatever there is to do.
    Pilots(u64),
    /// One node, whose order lies in the folder of this name.
    Own(&'a str),
}

/// Names in a script.
#[derive(Debug, Clone)]
pub struct Names {
    /// This program.
    pub program: PathBuf,
    /// The folder of the experiment's pilots.
    pub pilots: PathBuf,
    /// The name of the jobs.
    pub job: String,
    /// The call that moves the experiment on by a step.
    pub tick: Option<String>,
}

impl Names {
    /// The name of a job of a pool.
    pub fn of(&self, pool: &str, purpose: Purpose<'_>) -> String {
        match (pool, purpose) {
            ("", Purpose::Pilots(_)) => self.job.clone(),
            (pool, Purpose::Pilots(_)) => format!("{}-{pool}", self.job),
            (_, Purpose::Own(name)) => format!("{}-{name}", self.job),
        }
    }
}

impl Site {
    /// Reads a fragment.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn read(file: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let Some(merged) = Merged::read(file, None, &mut problems) else {
            return Err(problems.or(()).expect_err("without a value there is a problem"));
        };
        let mut reader = Reader::default();
        let site = <Self as Setting>::read(&Found::root(&merged.value), &mut reader);
        problems.0.append(&mut reader.into_problems(Some(&|path| merged.place(path))).0);
        problems.or(())?;
        Ok(site.expect("a reader without problems has read everything"))
    }

    /// Finds the fragment that a name or a path stands for: `configs/sites/NAME.yaml` beside the spec's folder, or in
    /// the working directory, or `~/.config/ablate/sites/NAME.yaml`.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(name: &str, spec: &Path) -> Result<PathBuf, Problem> {
        let path = PathBuf::from(name);
        if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            return match path.is_file() {
                true => Ok(path),
                false => Err(Problem::new(format!("there is no file {name}"))),
            };
        }
        let absolute = spec.canonicalize().unwrap_or_else(|_| spec.to_owned());
        let above = absolute.ancestors().skip(1).map(|folder| folder.join("configs/sites"));
        let home =
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config/ablate/sites"));
        let mut places: Vec<PathBuf> =
            above.chain([PathBuf::from("configs/sites")]).chain(home).collect();
        places.retain(|place| place.is_dir());
        let file = format!("{name}.yaml");
        if let Some(found) =
            places.iter().map(|place| place.join(&file)).find(|path| path.is_file())
        {
            return Ok(found);
        }
        let entries = places
            .iter()
            .flat_map(|place| std::fs::read_dir(place).into_iter().flatten().flatten());
        let mut known: Vec<String> = entries
            .filter_map(|entry| {
                entry.file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned)
            })
            .collect();
        known.sort();
        known.dedup();
        let problem = Problem::new(format!("there is no site `{name}`"));
        Err(match known.is_empty() {
            true => problem
                .help(format!("describe it in configs/sites/{file}; docs/slurm.md shows how")),
            false => problem.help(format!("known are {}", crate::words::alternatives(&known))),
        })
    }

    /// The model of the GPUs that a pilot asks for, as far as its options say; nothing if it asks for none.
    pub fn model(&self) -> Option<String> {
        let asked = ["gres", "gpus", "gpus-per-node", "gpus-per-task"]
            .iter()
            .find_map(|name| self.sbatch.0.get(*name))?;
        // `gpu:h200:1`, `h200:1`, `gpu:1`, `1`.
        let word = asked
            .split(':')
            .find(|word| *word != "gpu" && !word.bytes().all(|byte| byte.is_ascii_digit()));
        Some(word.unwrap_or("GPU").to_owned())
    }

    /// The script of a job, of one of the site's pools.
    pub fn script(&self, names: &Names, pool: &str, purpose: Purpose<'_>) -> String {
        let mut text = "#!/bin/bash\n".to_owned();
        if self.commands.is_none() {
            text += &self.options(names, pool, purpose);
        }
        text += "set -e\n";
        for module in &self.modules {
            text += &format!("module load {}\n", quoted(module));
        }
        if let Some(prelude) = &self.prelude {
            text += prelude.trim_end();
            text.push('\n');
        }
        let mut lead = String::new();
        if self.commands.is_none() && self.launch == Launch::Srun {
            // A step gets warnings and preemptions, and its exit code passes through.
            text += "export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}\n";
            lead +=
                "srun --nodes=1 --ntasks=1 --export=ALL --unbuffered --kill-on-bad-exit=1 \\\n    ";
        }
        let call = lead + &self.call(names, pool, purpose);
        match names.tick.as_ref().filter(|_| self.nodes_submit) {
            None => text + "exec " + &call + "\n",
            // The last act: whatever can follow is asked for from here.
            Some(tick) => {
                text + "code=0\n" + &call + " || code=$?\n" + tick + " || true\nexit $code\n"
            }
        }
    }

    /// The options of a job, as its script has them.
    fn options(&self, names: &Names, pool: &str, purpose: Purpose<'_>) -> String {
        let signal = format!("USR2@{}", self.margin.0.ceil());
        let signal = match self.launch {
            Launch::Srun => signal,
            Launch::Exec => format!("B:{signal}"),
        };
        let mut options = vec![("job-name", names.of(pool, purpose))];
        let (log, again) = match purpose {
            Purpose::Pilots(count) => {
                options.push(("array", format!("0-{}", count.saturating_sub(1))));
                ("log/%A_%a.out".to_owned(), "requeue")
            }
            // What comes back finds its order taken: the coordinator gives the node a new job.
            Purpose::Own(name) => (format!("log/{name}.out"), "no-requeue"),
        };
        let log = names.pilots.join(log).display().to_string();
        options.extend([("output", log), ("open-mode", "append".to_owned()), ("signal", signal)]);
        for (name, usual, others) in
            [(again, "", ["requeue", "no-requeue"]), ("ntasks", "1", ["ntasks", "ntasks-per-node"])]
        {
            if !self.sbatch.0.keys().any(|known| others.contains(&known.as_str())) {
                options.push((name, usual.to_owned()));
            }
        }
        options.extend(self.sbatch.0.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let line = |(name, value): (&str, String)| match value.as_str() {
            "" => format!("#SBATCH --{name}\n"),
            plain if plain.bytes().all(is_plain) => format!("#SBATCH --{name}={plain}\n"),
            other => format!("#SBATCH --{name}=\"{other}\"\n"),
        };
        options.into_iter().map(line).collect()
    }

    /// The call of the pilot.
    fn call(&self, names: &Names, pool: &str, purpose: Purpose<'_>) -> String {
        let program = quoted(&names.program.display().to_string());
        let pilots = quoted(&names.pilots.display().to_string());
        let mut call = format!(
            "{program} pilot {pilots} --idle {} --margin {} --patience {}",
            self.idle.0, self.margin.0, self.patience.0
        );
        if let Some(devices) = &self.devices {
            call += &format!(" --devices {}", quoted(devices));
        }
        match purpose {
            Purpose::Own(name) => call += &format!(" --own {}", quoted(name)),
            Purpose::Pilots(_) if pool.is_empty() => {}
            Purpose::Pilots(_) => call += &format!(" --pool {}", quoted(pool)),
        }
        call
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_./:,=@%+".contains(&byte)
}

/// A word as the shell reads it back unchanged.
pub fn quoted(word: &str) -> String {
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            program: "/opt/my tools/ablate".into(),
            pilots: "/data/it's here/results/pilots/first".into(),
            job: "ablate-first-1a2b3c".into(),
            tick: Some("ablate tick first.yaml --on slurm".into()),
        }
    }

    fn site(text: &str) -> Result<Site, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.yaml");
        std::fs::write(&file, text).unwrap();
        Site::read(&file).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_script_says_what_the_site_says_and_what_the_protocol_needs() {
        let text = "sbatch: { partition: gpu, gres: 'gpu:1', time: '4:00:00', exclusive: true, comment: two words }\n\
                    most: 8\nmodules: [cuda/12.4]\nprelude: |\n  source ~/env/bin/activate\nmargin: 2m\n";
        let script = site(text).unwrap().script(&names(), "", Purpose::Pilots(8));
        let want = r"#!/bin/bash
#SBATCH --job-name=ablate-first-1a2b3c
#SBATCH --array=0-7
";
        assert!(script.starts_with(want), "{script}");
        for line in [
            "#SBATCH --output=\"/data/it's here/results/pilots/first/log/%A_%a.out\"",
            "#SBATCH --signal=USR2@120",
            "#SBATCH --requeue",
            "#SBATCH --ntasks=1",
            "#SBATCH --comment=\"two words\"",
            "#SBATCH --exclusive",
            "#SBATCH --gres=gpu:1",
            "#SBATCH --time=4:00:00",
            "module load cuda/12.4",
            "source ~/env/bin/activate",
            r"    '/opt/my tools/ablate' pilot '/data/it'\''s here/results/pilots/first' --idle 60 --margin 120 --patience 60",
        ] {
            assert!(script.lines().any(|found| found == line), "no `{line}` in\n{script}");
        }
        let module = script.find("module load").unwrap();
        assert!(
            module > script.rfind("#SBATCH").unwrap() && module < script.find("exec srun").unwrap()
        );
    }

    #[test]
    fn without_steps_the_shell_itself_gets_the_signal() {
        let script = site("launch: exec\nsbatch: { no-requeue: true }\n").unwrap().script(
            &names(),
            "",
            Purpose::Pilots(1),
        );
        assert!(script.contains("--signal=B:USR2@120\n") && !script.contains("srun"), "{script}");
        assert!(script.contains("#SBATCH --no-requeue\n") && !script.contains("--requeue\n"));
    }

    #[test]
    fn what_is_wrong_with_a_site_is_told_with_its_place() {
        for (text, place, words) in [
            ("sbatch: { array: 0-3 }", "1:11", "`array` is set by ablate itself"),
            ("sbatch: { --time: 3 }", "1:11", "is no option"),
            ("sbatch: { time: [1] }", "1:11", "takes one value"),
            ("most: 0", "1:7", "out of range"),
            ("partition: gpu", "1:1", "unknown key `partition`"),
            (
                "sbatch: { time: 3 }\ncommands: { submit: a, alive: b, cancel: c }",
                "1:1",
                "means nothing",
            ),
        ] {
            let told = site(text).unwrap_err();
            assert!(
                told.contains(&format!("site.yaml:{place}")) && told.contains(words),
                "{text}: {told}"
            );
        }
    }
}
