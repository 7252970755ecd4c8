//! Programs whose n-th run fails in every way a program can.
//!
//! A fake is a function of shell, `act`, which keeps what exists as files: below `$STATE/$where`,
//! where `$where` is `there`, or `late` for what comes to be later. The faults lie around it. What it
//! says where it was refused, and where it lost its remote side, are files of the test's.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use breakglass::domain::time::Timestamp;

use super::launching::Place;
use super::leaves_nothing::FarSide;

/// What goes wrong with a run, as its script has it, and what that is in words.
type Fault = (&'static str, &'static str);

const FAULTS: [Fault; 15] = [
    ("refused", "it is refused, and nothing is done"),
    ("cannot", "it cannot be run"),
    ("killed-before", "it is killed, and nothing is done"),
    ("hangs-before", "it hangs, and nothing is done"),
    ("fails-after", "it is done, and the answer is lost"),
    ("killed-after", "it is done, and it is killed"),
    ("hangs-after", "it is done, and it hangs"),
    ("garbage", "it is done, and garbage is said"),
    ("html", "it is done, and a page for people is said"),
    ("huge", "it is done, and without end is said"),
    ("cut", "it is done, and what is said breaks off"),
    ("well-late", "it says that it is done, and it is done later"),
    ("fails-late", "the answer is lost, and it is done later"),
    ("killed-late", "it is killed, and it is done later"),
    ("hangs-late", "it hangs, and it is done later"),
];

/// What stands before and behind `act` in every fake. No word of it starts a process in fair weather.
const BEFORE: &str = r#"
n=0
set -C
until true 2>/dev/null >"$STATE/runs/$n"; do n=$((n + 1)); done 2>/dev/null
set +C
fault=none where=there
[ -e "$STATE/armed-$n" ] && read -r fault <"$STATE/armed-$n"
"#;
const BEHIND: &str = r#"
case $fault in
none) act "$@"; exit ;;
refused) cat "$STATE/refusal" >&2; exit 1 ;;
cannot) echo "not found" >&2; exit 127 ;;
killed-before) kill -KILL $$ ;;
hangs-before) while :; do sleep 1; done ;;
*-late) where=late ;;
esac
if [ "$fault" = cut ]; then act "$@" | head -c 5; exit 0; fi
act "$@" >/dev/null 2>&1
case $fault in
fails-*) cat "$STATE/trouble" >&2; exit 1 ;;
killed-*) kill -KILL $$ ;;
hangs-*) while :; do sleep 1; done ;;
garbage) printf '\377\033[2J{"items": [nul\n' ;;
html) echo '<html>sign in first</html>' ;;
well-late)
    # A run that makes nothing is never late.
    for made in "$STATE"/late/*; do
        [ -e "$made" ] || { where=there; act "$@"; exit; }
    done ;;
huge) head -c 3000000 /dev/zero | tr '\0' x ;;
esac
exit 0
"#;

/// A look at what else may be left.
pub type Left = Box<dyn Fn(&Place) -> Vec<String> + Send + Sync>;

/// A place with such fakes.
pub struct FaultyPrograms {
    pub place: Arc<Place>,
    left: Left,
    late: Mutex<Timestamp>,
    faults: Vec<Fault>,
}

impl FaultyPrograms {
    /// One in which nothing exists. `refusal` and `trouble` are what its programs complain of; `left`
    /// sees what else there may be.
    pub fn new(refusal: &str, trouble: &str, left: Left) -> Self {
        let place = Arc::new(Place::new());
        for folder in ["runs", "there", "late"] {
            std::fs::create_dir(place.path(folder)).unwrap();
        }
        place.write("refusal", refusal);
        place.write("trouble", trouble);
        Self { place, left, late: Mutex::default(), faults: FAULTS.into() }
    }

    /// Without what is done later, which a fake that keeps no files cannot do.
    pub fn never_late(mut self) -> Self {
        self.faults.retain(|(name, _)| !name.ends_with("-late"));
        self
    }

    /// Puts a fake on the `PATH`: what it does in fair weather is the body of a function.
    pub fn fake(&self, name: &str, act: &str) -> String {
        self.place.script(name, &format!("{BEFORE}\nact() {{\n{act}\n}}\n{BEHIND}"))
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.place.path(folder)).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }
}

impl FarSide for FaultyPrograms {
    fn faults(&self) -> Vec<String> {
        self.faults.iter().map(|(_, words)| (*words).to_owned()).collect()
    }

    fn arm(&self, wrong: &[(usize, usize)], late: Timestamp) {
        *self.late.lock().unwrap() = late;
        for (call, fault) in wrong {
            self.place.write(&format!("armed-{call}"), &format!("{}\n", self.faults[*fault].0));
        }
    }

    fn calls(&self) -> usize {
        self.files("runs").len()
    }

    fn left(&self) -> Vec<String> {
        let files = [self.files("there"), self.files("late")].concat();
        let mut left: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        left.extend((self.left)(&self.place));
        left
    }

    fn advance(&self, now: Timestamp) {
        if now < *self.late.lock().unwrap() {
            return;
        }
        for file in self.files("late") {
            let name = file.file_name().unwrap().to_owned();
            std::fs::rename(&file, self.place.path("there").join(name)).unwrap();
        }
    }
}
