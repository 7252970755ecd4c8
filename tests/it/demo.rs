//! The plain drill, as a process: marked on every line, and gone when it is over.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A drill in a temporary directory of its own.
struct Drill {
    tmp: TempDir,
    command: Command,
}

impl Drill {
    fn new(arguments: &[&str]) -> Self {
        let tmp = tempfile::Builder::new().prefix("bg").tempdir_in("/tmp").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakglass"));
        command.arg("demo").args(arguments).env_clear().env("TMPDIR", tmp.path());
        command.env("HOME", tmp.path().join("home")).env("LANG", "C.UTF-8").env("TERM", "dumb");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { tmp, command }
    }

    fn left_behind(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.tmp.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// No process has anything to do with this directory.
    fn no_process_is_left(&self) {
        let place = self.tmp.path().as_os_str().as_encoded_bytes();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            // A process that ends meanwhile is no process.
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            let ours = environment.windows(place.len()).any(|window| window == place);
            assert!(!ours, "{} is left", process.path().display());
        }
    }
}

fn lines(output: &Output) -> Vec<String> {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_plain_drill_tells_two_sessions_from_beginning_to_end() {
    let mut drill = Drill::new(&["--plain"]);
    let output = drill.command.output().unwrap();
    let lines = lines(&output);
    let all = lines.join("\n");
    assert!(output.status.success(), "{}\n{all}", output.status);
    assert!(lines.iter().all(|line| line.starts_with("DRILL")), "{all}");
    let tells = |text: &str| assert!(all.contains(text), "no `{text}` in:\n{all}");
    tells(" is Active: status-page ");
    tells(" is Active: harbour-payments ");
    tells("DRILL Payments status");
    tells("all seen gone at");
    tells("device bg-");
    assert_eq!(all.matches(" is Ended: ").count(), 2, "{all}");
    assert!(!all.contains("NOT PROVEN GONE"), "{all}");
    assert_eq!(drill.left_behind(), Vec::<String>::new());
    drill.no_process_is_left();
}

#[test]
fn documents_are_refused() {
    let mut drill = Drill::new(&["--json"]);
    let output = drill.command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a drill prints no documents"));
    assert_eq!(drill.left_behind(), Vec::<String>::new());
}

/// Starts a drill and waits until a session with a tunnel is on its way.
fn under_way(drill: &mut Drill) -> (Child, BufReader<impl Read + use<>>) {
    let mut child = drill.command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("applying  start a router") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    (child, stdout)
}

#[test]
fn a_signal_ends_a_drill_and_everything_in_it() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut drill = Drill::new(&[]);
        let (mut child, mut stdout) = under_way(&mut drill);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal:?}");
        assert_eq!(drill.left_behind(), Vec::<String>::new());
        drill.no_process_is_left();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said.contains("nothing of the drill is left"), signal != Signal::HUP, "{said}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_nothing_but_the_telling() {
    let mut drill = Drill::new(&[]);
    let (mut child, stdout) = under_way(&mut drill);
    drop(stdout);
    assert!(child.wait().unwrap().success());
    assert_eq!(drill.left_behind(), Vec::<String>::new());
    drill.no_process_is_left();
}
