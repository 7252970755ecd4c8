//! Whatever becomes of `ssh`, `ssh-agent` and `ssh-add`, a bastion leaves nothing behind: the real
//! provider, with programs that fail at the n-th run, and a kept connection that answers oddly.

use async_trait::async_trait;
use breakglass::domain::artifact::{Artifact, Marker};
use breakglass::domain::secret::Secret;
use breakglass::domain::ssh::SshDestination;
use breakglass::provider::key::Key;
use breakglass::provider::ssh::Bastion;
use breakglass::provider::{Made, Order, Provider as _, StepCall, UNHEARD};
use breakglass::session::{Applied, Looked, PlannedStep, Undone};

use crate::support::faulty_programs::FaultyPrograms;
use crate::support::launching::{Place, installation, now};
use crate::support::leaves_nothing::{Carries, Extent, Fixture, assert_leaves_nothing_behind};
use crate::support::plans::{id, request};

/// A bastion with the steps of one session.
struct Opens {
    bastion: Bastion,
    marker: Marker,
    made: Vec<Made>,
}

impl Opens {
    fn new(place: &Place) -> Self {
        let to = SshDestination::new("edge".parse().unwrap());
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let key = Key::Given(Secret::new(key));
        let bastion = Bastion::new("edge".parse().unwrap(), to, key, place.ssh());
        let marker = Marker::new(&installation(), id(), now());
        let order = Order {
            session: id(),
            target: request().target,
            site: None,
            forbidden: vec![],
            marker: marker.clone(),
            needed_until: now(),
        };
        let steps = bastion.plan(&order).unwrap().into_iter().enumerate();
        let made = steps.map(|(index, step)| Made { index, step, artifact: None }).collect();
        Self { bastion, marker, made }
    }

    fn call<'a>(&'a self, step: &'a PlannedStep, artifact: Option<&'a Artifact>) -> StepCall<'a> {
        StepCall {
            session: id(),
            marker: &self.marker,
            step,
            artifact,
            steps: &self.made,
            says: &UNHEARD,
        }
    }
}

#[async_trait]
impl Carries for Opens {
    async fn apply(&self, step: &PlannedStep) -> Applied {
        self.bastion.apply(self.call(step, None)).await
    }

    async fn look(&self, step: &PlannedStep, known: Option<&Artifact>) -> Looked {
        self.bastion.look(self.call(step, known)).await
    }

    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone {
        self.bastion.undo(self.call(step, known)).await
    }
}

/// A sign-in that works: what serves the control socket then stays. Where its run goes wrong, that
/// lives on beside it.
const SSH: &str = r#"
log= control=
for word; do
    [ "$before" = -E ] && log=$word
    case $word in ControlPath=*) control=${word#*=} ;; esac
    before=$word
done
# It stands between quotes.
control=${control#?} control=${control%?}
echo 'Authenticated to x' >>"$log"
[ "$fault" = none ] && exec perl "$STATE/master.pl" "$control" none "$@"
perl "$STATE/master.pl" "$control" "$fault" "$@" &
until [ -e "$control" ]; do sleep 0.01; done
"#;

/// A control socket behind which every target answers (PROTOCOL.mux of OpenSSH).
const MASTER: &str = r#"
use strict;
use IO::Socket::UNIX;
my ($control, $fault) = @ARGV;
my ($master, @kept) = ($$);
$SIG{CHLD} = 'IGNORE';
$SIG{TERM} = sub { unlink $control; exit 0 };
my $listener = IO::Socket::UNIX->new(Local => "$control.x", Listen => 9) or die;
rename "$control.x", $control;
while (1) {
    my $peer = $listener->accept or next;
    next if fork;
    close $listener;
    $SIG{TERM} = 'DEFAULT';
    converse($peer);
    exit 0;
}
sub frame { syswrite $_[0], pack('N/a*', $_[1]) }
sub get {
    my ($peer, $count) = @_;
    my $bytes = '';
    while (length $bytes < $count) {
        sysread $peer, $bytes, $count - length $bytes, length $bytes or exit 0;
    }
    return $bytes;
}
sub converse {
    my ($peer) = @_;
    return syswrite $peer, "<html>sign in first</html>\n" if $fault eq 'html';
    return syswrite $peer, pack('N', 0xffffffff) . 'x' x 100000 if $fault eq 'huge';
    return syswrite $peer, pack('NN', 8, 1) if $fault eq 'cut';
    frame($peer, pack('NN', 1, 4));
    while (1) {
        my $body = get($peer, unpack 'N', get($peer, 4));
        my ($kind, $number) = unpack 'NN', $body;
        if ($kind == 0x10000004) {
            frame($peer, pack('NNN', $fault eq 'garbage' ? 7 : 0x80000005, $number, $master));
        } elsif ($kind == 0x10000005) {
            frame($peer, pack('NN', 0x80000001, $number));
            kill 'TERM', $master;
            return;
        } elsif ($kind == 0x10000006) {
            my $path = unpack 'N/a*', substr $body, 12;
            push @kept, IO::Socket::UNIX->new(Local => $path, Listen => 1);
            frame($peer, pack('NN', 0x80000001, $number));
        } elsif ($kind == 0x10000008) {
            get($peer, 1);
            get($peer, 1);
            frame($peer, pack('NNN', 0x80000006, $number, 1));
        }
    }
}
"#;

/// Nearly all of the time is spent waiting for what hangs, so all wait at once.
const AT_ONCE: Extent = Extent { step_by: 1, pairs_by: 211, at_once: 100 };

#[tokio::test]
async fn a_bastion_leaves_nothing() {
    let fresh = || async {
        let left = |place: &Place| {
            let ssh = place.path("ssh");
            let found = breakglass::process::find(&format!("{}/", ssh.display())).unwrap();
            let mut left: Vec<_> = found.iter().map(|it| format!("process {}", it.pid)).collect();
            let folders = std::fs::read_dir(ssh).into_iter().flatten();
            left.extend(folders.map(|folder| folder.unwrap().path().display().to_string()));
            left
        };
        let programs = FaultyPrograms::new("no", "it is gone", Box::new(left)).never_late();
        programs.place.write("master.pl", MASTER);
        programs.fake("ssh", SSH);
        programs.fake(
            "ssh-agent",
            r#"touch "$3"; [ "$fault" = none ] && exec sh -c 'while :; do sleep 1; done' "$@""#,
        );
        programs.fake("ssh-add", "cat >/dev/null");
        let opens = Opens::new(&programs.place);
        let plan = opens.made.iter().map(|made| made.step.clone()).collect();
        Fixture { far: Box::new(programs), carrier: Box::new(opens), plan }
    };
    assert_leaves_nothing_behind("bastion", fresh, AT_ONCE).await;
}
