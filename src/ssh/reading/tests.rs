//! What `ssh` of OpenSSH 9.2 wrote, recorded, and what is read from it.

use super::*;

/// What `ssh` of OpenSSH 9.2 writes before anything goes wrong, as far as it is read.
const REACHED: &str = "\
debug1: Connecting to 127.0.0.1 [127.0.0.1] port 2322.
debug1: Connection established.
debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2+deb12u10
debug1: Authenticating to 127.0.0.1:2322 as 'ops'
debug1: Server host key: ssh-ed25519 SHA256:XWW4eBmwBm/fnu/P7qZsRDX68XdxQcQuteOfEeEq4nc
";
const SIGNING: &str = "\
debug1: Host '[127.0.0.1]:2322' is known and matches the ED25519 host key.
debug1: Authentications that can continue: publickey,keyboard-interactive
debug1: Next authentication method: publickey
";
const OFFERED: &str =
    "debug1: Offering public key: /k/id ED25519 SHA256:Mv+xrYk+5hPHziB6 explicit\n";
const ACCEPTED: &str =
    "debug1: Server accepts key: /k/id ED25519 SHA256:Mv+xrYk+5hPHziB6 explicit\n";
const DENIED: &str = "\
debug1: No more authentication methods to try.
ops@127.0.0.1: Permission denied (publickey,keyboard-interactive).
";
const CHANGED: &str = "\
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Offending ED25519 key in /h/known hosts:2
Host key for [127.0.0.1]:2322 has changed and you have requested strict checking.
Host key verification failed.
";
const UNKNOWN: &str = "\
No ED25519 host key is known for [127.0.0.1]:2322 and you have requested strict checking.
Host key verification failed.
";
const REFUSED: &str = "Host key verification failed.\n";
const AUTHENTICATED: &str = "Authenticated to 127.0.0.1 ([127.0.0.1]:2322) using \"publickey\".\n";

fn bastion() -> SshDestination {
    SshDestination {
        user: Some("ops".parse().unwrap()),
        port: Some(2322),
        ..SshDestination::new("127.0.0.1".parse().unwrap())
    }
}

fn read(parts: &[&str]) -> String {
    let logs = Logs { main: parts.concat(), hops: vec![] };
    failure(&logs, &bastion(), Path::new("/h/known hosts")).to_string()
}

fn lines(cases: &[&[&str]]) -> String {
    cases.iter().map(|parts| read(parts)).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_keeps_a_connection_from_being_made_is_told_apart() {
    let lines = lines(&[
        &["ssh: Could not resolve hostname bastion: Name or service not known\n"],
        &[REACHED, "ssh: connect to host 127.0.0.1 port 2322: Connection refused\n"],
        &["ssh: connect to host 10.9.9.9 port 22: Connection timed out\n"],
        &["ssh: connect to host 10.9.9.9 port 22: No route to host\n"],
        &[REACHED, "Connection timed out during banner exchange\n"],
        &["kex_exchange_identification: Connection closed by remote host\n"],
        &["kex_exchange_identification: read: Connection reset by peer\n"],
        &[
            "debug1: Executing proxy command: exec ssh -W '[127.0.0.1]:2322' edge\n",
            "kex_exchange_identification: Connection closed by remote host\n",
            "Connection closed by UNKNOWN port 65535\n",
        ],
        &[
            REACHED,
            "Unable to negotiate with 127.0.0.1 port 2322: no matching host key type found. \
             Their offer: ssh-rsa\n",
        ],
        &[
            "/h/.ssh/config: line 2: Bad configuration option: foo\n",
            "/h/.ssh/config: terminating\n",
        ],
        &["Bad owner or permissions on /h/.ssh/config\n"],
        &["debug1: Reading configuration data x\n"],
        &[],
    ]);
    insta::assert_snapshot!(lines, @r"
    `bastion` cannot be resolved: Name or service not known; check the name, or this host's DNS
    `127.0.0.1:2322` refuses the connection: no SSH server listens there; check host and port
    `10.9.9.9:22` does not answer: it is down, or a firewall drops us; check host, port and firewall
    `10.9.9.9:22` cannot be reached: No route to host; check this host's network
    `127.0.0.1:2322` does not answer: it is down, or a firewall drops us; check host, port and firewall
    `127.0.0.1:2322` takes no more sign-ins at the moment (MaxStartups there, or no SSH server): try again shortly
    `127.0.0.1:2322` takes no more sign-ins at the moment (MaxStartups there, or no SSH server): try again shortly
    the way to `127.0.0.1:2322` broke off (ProxyJump or ProxyCommand of your ssh_config); try `ssh 127.0.0.1` by hand to see why
    `127.0.0.1:2322` and this host have no host key type in common; it offers ssh-rsa; update the older one
    ssh does not accept its configuration: /h/.ssh/config: line 2: Bad configuration option: foo; correct it, and see with `ssh -G 127.0.0.1`
    ssh does not accept its configuration: Bad owner or permissions on /h/.ssh/config; correct it, and see with `ssh -G 127.0.0.1`
    ssh to `127.0.0.1:2322` failed: debug1: Reading configuration data x
    ssh to `127.0.0.1:2322` failed: it ended and said nothing
    ");
}

#[test]
fn a_host_key_is_never_taken_unseen_and_a_changed_one_is_a_warning() {
    let lines = lines(&[
        &[REACHED, UNKNOWN],
        &[REACHED, CHANGED],
        &[REACHED, "@       WARNING: REVOKED HOST KEY DETECTED!               @\n", REFUSED],
    ]);
    insta::assert_snapshot!(lines, @r#"
    the host key of `[127.0.0.1]:2322` (ED25519 SHA256:XWW4eBmwBm/fnu/P7qZsRDX68XdxQcQuteOfEeEq4nc) is not known here, and none is accepted unseen: connect once by hand, `ssh -o 'UserKnownHostsFile="/h/known hosts"' -p 2322 ops@127.0.0.1`, and say yes only to the fingerprint that its owner tells you over another way; it must then stand in `/h/known hosts`, readable for the user of this engine
    `[127.0.0.1]:2322` has ANOTHER host key than /h/known hosts:2: somebody may be in between, or it was set up anew; ask its owner for the new fingerprint over another way, and only then run `ssh-keygen -R '[127.0.0.1]:2322' -f '/h/known hosts'`
    the host key of `[127.0.0.1]:2322` is revoked (/h/known hosts); do not connect; ask its owner
    "#);
}

/// What somebody in between writes, who knows the genuine fingerprint and has not its key.
const FORGED: &str = "\
debug1: Server host key: ssh-ed25519 SHA256:GENUINE
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
Offending ED25519 key in /home/ana/.bashrc:1
Host key for elsewhere has changed and you have requested strict checking.
No ED25519 host key is known for elsewhere and you have requested strict checking.
Host key verification failed.
";

#[test]
fn who_has_no_key_does_not_choose_the_fingerprint_that_is_compared() {
    let (start, key) = REACHED.split_at(REACHED.find("debug1: Server host key").unwrap());
    let message = "debug1: Remote: x\n";
    let offer = "Unable to negotiate with 127.0.0.1 port 2322: no matching host key type found. \
                 Their offer: x\n";
    let goodbye = "Received disconnect from 127.0.0.1 port 2322:2: x\n";
    let closed = "Connection closed by 127.0.0.1 port 2322\n";
    let certificate = "debug1: Server host certificate: ssh-ed25519-cert-v01@openssh.com \
                       SHA256:OTHER, serial 0 ID \"x\n";
    let cases: [&[&str]; 9] = [
        &[start, message, FORGED, key, UNKNOWN],
        &[start, message, FORGED, key, CHANGED],
        &[start, message, FORGED],
        &[start, offer, FORGED],
        &[start, goodbye, FORGED],
        &[REACHED, certificate, FORGED, UNKNOWN],
        // With a certificate no line of its own names the key.
        &[
            start,
            certificate,
            "debug1: Server host key: ssh-ed25519 SHA256:GENUINE\" CA x\n",
            UNKNOWN,
        ],
        &[REACHED, certificate, "\" CA x\n", UNKNOWN],
        &[start, message, FORGED, closed],
    ];
    for case in cases {
        let said = read(case);
        assert!(!said.contains("GENUINE"), "{said}");
        assert!(!said.contains("elsewhere") && !said.contains(".bashrc"), "{said}");
        assert!(!said.contains("only then run"), "{said}");
    }
    insta::assert_snapshot!(lines(&[cases[0], cases[7], cases[8]]), @r"
    `[127.0.0.1]:2322` wrote into the log of `ssh` before its host key was taken: somebody may be in between, and no fingerprint in that log is to be believed; do not connect; ask its owner
    ssh to `[127.0.0.1]:2322` failed: its host key was not taken, nor its certificate: its authority is not known here; see with `ssh` by hand
    `127.0.0.1:2322` closed the connection: Connection closed by 127.0.0.1 port 2322; its SSH server was stopped, or ended it
    ");
}

#[test]
fn a_hop_that_says_it_signed_us_in_is_not_believed_over_its_key() {
    let to = SshDestination { jump: vec!["edge".parse().unwrap()], ..bastion() };
    let cut = "kex_exchange_identification: Connection closed by remote host\n";
    let hop = [AUTHENTICATED, REACHED, UNKNOWN].concat();
    let logs = Logs { main: cut.to_owned(), hops: vec![hop] };
    let said = failure(&logs, &to, Path::new("/k")).to_string();
    assert!(said.contains("the host key of `edge` (ED25519 SHA256:XWW4"), "{said}");
}

#[test]
fn no_command_holds_a_word_of_the_log() {
    let path = "Load key \"/etc/shadow\": bad permissions\n";
    let said = read(&[REACHED, SIGNING, OFFERED, path, DENIED]);
    assert!(said.contains("let only its owner read it (`chmod 600`)"), "{said}");
    let unknown = REFUSED.replace("Host", "No $(x) host key is known for y\nHost");
    let said = read(&[REACHED, &unknown]);
    assert!(!said.contains("only then run"), "{said}");
}

#[test]
fn a_sign_in_that_is_refused_says_which_half_is_wrong() {
    let lines = lines(&[
        &[REACHED, SIGNING, DENIED],
        &[REACHED, SIGNING, OFFERED, DENIED],
        &[REACHED, SIGNING, OFFERED, OFFERED, DENIED],
        &[REACHED, SIGNING, OFFERED, ACCEPTED, "Load key \"/k/id\": bad permissions\n", DENIED],
        &[REACHED, SIGNING, OFFERED, ACCEPTED, DENIED],
        &[REACHED, SIGNING, "no such identity: /k/id: No such file or directory\n", DENIED],
        &[
            REACHED,
            SIGNING,
            OFFERED,
            ACCEPTED,
            "sign_and_send_pubkey: signing failed for ED25519 \"/k/id\" from agent: agent refused operation\n",
            DENIED,
        ],
        &[
            REACHED,
            SIGNING,
            OFFERED,
            "Received disconnect from 127.0.0.1 port 2322:2: Too many authentication failures\n",
        ],
        &[
            REACHED,
            SIGNING,
            OFFERED,
            "Authenticated using \"publickey\" with partial success.\n",
            DENIED,
        ],
    ]);
    insta::assert_snapshot!(lines, @r"
    no key to offer to `127.0.0.1:2322` for the user `ops`: load one (`ssh-add`), or name an identity file
    `127.0.0.1:2322` accepts none of 1 key offered for the user `ops`: the user is wrong, or the key is not in that user's authorized_keys
    `127.0.0.1:2322` accepts none of 2 keys offered for the user `ops`: the user is wrong, or the key is not in that user's authorized_keys
    the key file `/k/id` cannot be used: bad permissions; let only its owner read it (`chmod 600`)
    the key file `/k/id` cannot be used: it is accepted there, and has a passphrase that nobody types; load it with `ssh-add`
    the key file `/k/id` cannot be used: No such file or directory; correct the path
    the key file `/k/id` cannot be used: agent refused operation; the agent does not sign: unlock or confirm it
    `127.0.0.1:2322` ended the sign-in after 1 key for `ops`: name the right identity file, so that it is the first one tried
    `127.0.0.1:2322` wants more of `ops` than a key, and nobody is there to type it: let this user sign in by key alone (AuthenticationMethods in sshd_config)
    ");
}

#[test]
fn a_hop_is_named_with_its_own_reason() {
    let to = SshDestination {
        jump: ["edge", "ana@inner:2200"].map(|hop| hop.parse().unwrap()).to_vec(),
        ..bastion()
    };
    let cut = "kex_exchange_identification: Connection closed by remote host\n";
    let read = |hops: [&[&str]; 2], main: &str| {
        let hops = hops.iter().map(|parts| parts.concat()).collect();
        let logs = Logs { main: main.to_owned(), hops };
        failure(&logs, &to, Path::new("/h/known hosts")).to_string()
    };
    let unreachable = "ssh: connect to host edge port 22: No route to host\n";
    let refused = "channel 0: open failed: connect failed: Connection refused\n";
    let prohibited = "channel 0: open failed: administratively prohibited: open failed\n";
    let well: &[&str] = &[REACHED, AUTHENTICATED];
    let lines = [
        read([&[unreachable], &[cut]], cut),
        read([&[REACHED, AUTHENTICATED, refused], &[cut]], cut),
        read([well, &[REACHED, UNKNOWN]], cut),
        read([well, &[REACHED, AUTHENTICATED, prohibited]], cut),
        read([well, well], UNKNOWN),
        read([well, well], cut),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    on the way, at `edge`: `edge:22` cannot be reached: No route to host; check this host's network
    on the way, at `edge`: `ana@inner:2200` refuses the connection from `edge`: nothing listens on that port, or a firewall says no
    on the way, at `ana@inner:2200`: the host key of `[inner]:2200` (ED25519 SHA256:XWW4eBmwBm/fnu/P7qZsRDX68XdxQcQuteOfEeEq4nc) is not known here, and none is accepted unseen: connect once by hand, `ssh -o 'UserKnownHostsFile="/h/known hosts"' -J edge -p 2200 ana@inner`, and say yes only to the fingerprint that its owner tells you over another way; it must then stand in `/h/known hosts`, readable for the user of this engine
    on the way, at `ana@inner:2200`: `inner:2200` may not pass connections on to `127.0.0.1:2322`: it is forbidden there; its owner can allow it (AllowTcpForwarding and PermitOpen in sshd_config, permitopen in authorized_keys)
    the host key of `[127.0.0.1]:2322` (ED25519) is not known here, and none is accepted unseen: connect once by hand, `ssh -o 'UserKnownHostsFile="/h/known hosts"' -J edge,ana@inner:2200 -p 2322 ops@127.0.0.1`, and say yes only to the fingerprint that its owner tells you over another way; it must then stand in `/h/known hosts`, readable for the user of this engine
    `127.0.0.1:2322` takes no more sign-ins at the moment (MaxStartups there, or no SSH server): try again shortly
    "#);
}

#[test]
fn why_a_target_is_not_reached_is_told_apart() {
    let lines = [
        "channel 2: open failed: administratively prohibited: open failed",
        "channel 2: open failed: connect failed: Connection refused",
        "channel 2: open failed: connect failed: Connection timed out",
        "channel 2: open failed: connect failed: No route to host",
        "channel 2: open failed: connect failed: open failed",
        "channel 2: open failed: connect failed: Name or service not known",
        "channel 2: open failed: resource shortage: \u{1b}[31mno",
    ]
    .map(|line| channel(line, "bastion:22", "db:5432").unwrap().to_string());
    insta::assert_snapshot!(lines.join("\n"), @r"
    `bastion:22` may not pass connections on to `db:5432`: it is forbidden there; its owner can allow it (AllowTcpForwarding and PermitOpen in sshd_config, permitopen in authorized_keys)
    `db:5432` refuses the connection from `bastion:22`: nothing listens on that port, or a firewall says no
    `db:5432` does not answer `bastion:22`: it is down, or a firewall between them drops packets
    `bastion:22` has no way to `db:5432`: No route to host; check the address and the network there
    `bastion:22` does not open a connection to `db:5432`: open failed
    `bastion:22` cannot resolve the name of `db:5432`: Name or service not known; use an address that is known there
    `bastion:22` does not open a connection to `db:5432`: resource shortage: <1B>[31mno
    ");
    for line in ["debug1: channel 2: open failed: x", "channel 2: free", ""] {
        assert_eq!(channel(line, "bastion", "db:1"), None, "{line}");
    }
}

#[test]
fn the_end_of_a_connection_says_why() {
    let read = |end: &str, hop: &str| {
        let to = SshDestination { jump: vec!["edge".parse().unwrap()], ..bastion() };
        let logs =
            Logs { main: [REACHED, AUTHENTICATED, end].concat(), hops: vec![hop.to_owned()] };
        ending(&logs, &to).to_string()
    };
    let lines = [
        read("Timeout, server 127.0.0.1 not responding.\n", ""),
        read("Connection to 127.0.0.1 closed by remote host.\n", ""),
        read("client_loop: send disconnect: Broken pipe\n", ""),
        read("Transferred: sent 3480, received 3304 bytes, in 0.3 seconds\n", ""),
        read("Killed by signal 15.\n", ""),
        read("", ""),
        read("Connection closed by UNKNOWN\n", "Timeout, server edge not responding.\n"),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    `127.0.0.1:2322` stopped answering (2 keep-alives in 8 s): its network or host went away
    `127.0.0.1:2322` closed the connection: Connection to 127.0.0.1 closed by remote host; its SSH server was stopped, or ended it
    `127.0.0.1:2322` closed the connection: client_loop: send disconnect: Broken pipe; its SSH server was stopped, or ended it
    `127.0.0.1:2322` closed the connection: it hung up; its SSH server was stopped, or ended it
    its `ssh` was ended on this host: Killed by signal 15
    its `ssh` was ended on this host: it said nothing, so it was killed
    on the way, at `edge`: `edge` stopped answering (2 keep-alives in 8 s): its network or host went away
    ");
}

#[test]
fn a_command_that_ran_is_told_from_one_that_did_not() {
    let logs = |parts: &[&str]| Logs { main: parts.concat(), hops: vec![] };
    let sent = "debug1: Sending command: exit 255\n";
    let status = "debug1: client_input_channel_req: channel 0 rtype exit-status reply 0\n";
    let signal = "debug1: client_input_channel_req: channel 0 rtype exit-signal reply 0\n";
    let ran = logs(&[AUTHENTICATED, sent, status]);
    assert_eq!((ran.command_was_sent(), ran.command_end()), (true, Some(true)));
    assert_eq!(logs(&[AUTHENTICATED, sent, signal]).command_end(), Some(false));
    let lost = logs(&[AUTHENTICATED, sent, "client_loop: send disconnect: Broken pipe\n"]);
    assert_eq!((lost.command_was_sent(), lost.command_end()), (true, None));
    assert!(failure(&lost, &bastion(), Path::new("/k")).may_have_run());
    assert!(
        !failure(&logs(&[REACHED, SIGNING, DENIED]), &bastion(), Path::new("/k")).may_have_run()
    );
}

#[test]
fn the_file_that_ssh_takes_by_itself_need_not_be_named() {
    let logs = Logs { main: [REACHED, UNKNOWN].concat(), hops: vec![] };
    let said = failure(&logs, &bastion(), Path::new("/home/ana/.ssh/known_hosts")).to_string();
    assert!(said.contains("by hand, `ssh -p 2322 ops@127.0.0.1`, and"), "{said}");
    assert!(!said.contains("keyscan"), "{said}");
}
