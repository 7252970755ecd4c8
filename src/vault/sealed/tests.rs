//! Round trips, every flipped byte, hostile headers.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

const PASSPHRASE: &str = "seven lamps by the harbour";

fn pass(text: &str) -> Secret {
    Secret::new(text)
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

/// Derived once: each derivation costs its 19 MiB.
fn key() -> &'static SealKey {
    static KEY: LazyLock<SealKey> =
        LazyLock::new(|| SealKey::derive(&pass(PASSPHRASE), Cost::FLOOR, [7; 16]).unwrap());
    &KEY
}

fn sample() -> Secrets {
    Secrets::from([
        (name("idp-entra"), Secret::new("client secret")),
        (name("tailscale-prod"), Secret::new("tskey-1\n\"quoted\"")),
    ])
}

fn opened(text: &str) -> Result<Secrets, VaultError> {
    Sealed::parse(text)?.open(key())
}

#[test]
fn the_form_is_fixed() {
    let sealed = key().seal([9; 24], &Secrets::new()).unwrap();
    insta::assert_snapshot!(sealed, @r"
    breakglass-vault 1
    argon2id m=19456 t=2 p=1
    salt BwcHBwcHBwcHBwcHBwcHBw==
    nonce CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ
    NFzbsy9EfY1t6ljS+gpbLVaT
    ");
}

#[test]
fn a_passphrase_opens_what_it_sealed_and_another_does_not() {
    let text = export(&sample(), &pass(PASSPHRASE), Cost::FLOOR, ([1; 16], [2; 24])).unwrap();
    assert_eq!(import(&text, &pass(PASSPHRASE)), Ok(sample()));
    assert_eq!(import(&text, &pass("seven lamps by the harbour ")), Err(VaultError::Refused));
    let pasted = format!("\n  {}\r\n\r\n", text.trim().replace('\n', "\r\n"));
    assert_eq!(import(&pasted, &pass(PASSPHRASE)), Ok(sample()));
}

#[test]
fn a_passphrase_is_the_same_on_every_keyboard() {
    let composed = pass("caf\u{e9} caf\u{e9} caf\u{e9}");
    let decomposed = pass("cafe\u{301} cafe\u{301} cafe\u{301}");
    let text = SealKey::derive(&composed, Cost::FLOOR, [3; 16]).unwrap();
    let text = text.seal([4; 24], &sample()).unwrap();
    assert_eq!(import(&text, &decomposed), Ok(sample()));
}

#[test]
fn a_new_passphrase_is_long_enough_and_no_single_key() {
    let said = |text: &str| check_passphrase(&pass(text)).map_err(|error| error.to_string());
    assert_eq!(said(PASSPHRASE), Ok(()));
    // NFKC makes one character of each of these.
    let pairs = "e\u{301}".repeat(14);
    let refused =
        ["", "fourteen chars", &pairs, &"x".repeat(40)].map(|text| said(text).unwrap_err());
    insta::assert_snapshot!(refused.join("\n"), @r"
    the passphrase is too weak: it has 0 characters, at least 15 are needed
    the passphrase is too weak: it has 14 characters, at least 15 are needed
    the passphrase is too weak: it has 14 characters, at least 15 are needed
    the passphrase is too weak: it is one character again and again
    ");
}

#[test]
fn nfkc_never_grows_beyond_the_room_for_it() {
    for c in char::MIN..=char::MAX {
        let grown: usize = std::iter::once(c).nfkc().map(char::len_utf8).sum();
        assert!(grown <= c.len_utf8() * NFKC_GROWTH_MAX, "{c:?} becomes {grown} bytes");
    }
}

#[test]
fn every_flipped_byte_is_refused() {
    let text = key().seal([9; 24], &sample()).unwrap();
    assert_eq!(opened(&text), Ok(sample()));
    let first_line = text.find('\n').unwrap();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let refused = opened(&changed).unwrap_err();
            let alike = at <= first_line || refused == VaultError::Refused;
            assert!(alike, "bit {bit} of byte {at}: {refused}");
        }
    }
}

#[test]
fn a_text_that_is_cut_or_longer_is_refused() {
    let text = key().seal([9; 24], &sample()).unwrap();
    for end in 0..text.len() {
        opened(&text[..end]).unwrap_err();
    }
    for longer in [format!("{text}\n"), format!("{text}A"), format!("\n{text}")] {
        opened(&longer).unwrap_err();
    }
    opened(&text.replace('\n', "\r\n")).unwrap_err();
}

#[test]
fn a_hostile_header_costs_nothing() {
    let text = key().seal([9; 24], &sample()).unwrap();
    for cost in [
        "m=1048577 t=3 p=1",
        "m=4294967295 t=3 p=1",
        "m=65536 t=17 p=1",
        "m=65536 t=3 p=5",
        "m=19455 t=2 p=1",
        "m=19456 t=1 p=1",
        "m=19456 t=2 p=0",
        "m=019456 t=2 p=1",
        "m=+19456 t=2 p=1",
        "m=19456 t=2 p=1 x=1",
        "m=19456  t=2 p=1",
        "m=99999999999 t=2 p=1",
    ] {
        let hostile = text.replace("m=19456 t=2 p=1", cost);
        assert_eq!(Sealed::parse(&hostile).map(|_| ()), Err(VaultError::Refused), "{cost}");
    }
}

#[test]
fn what_is_no_vault_is_told_apart() {
    let newer = key().seal([9; 24], &sample()).unwrap().replace("vault 1\n", "vault 2\n");
    let said = ["", "hunter2", &newer].map(|text| opened(text).unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"), @r"
    this is no sealed vault: it does not begin with `breakglass-vault`
    this is no sealed vault: it does not begin with `breakglass-vault`
    this is no sealed vault: its version is not 1, the only one that is known here
    ");
}

#[test]
fn too_long_and_too_many_are_refused() {
    let long = |bytes| Secrets::from([(name("a"), Secret::new("s".repeat(bytes)))]);
    let many = |count| (0..count).map(|n| (name(&format!("n{n}")), Secret::new("s"))).collect();
    for fits in [long(SECRET_BYTES_MAX), many(SECRETS_MAX)] {
        assert_eq!(opened(&key().seal([9; 24], &fits).unwrap()), Ok(fits));
    }
    let escapes: Secrets = (0..SECRETS_MAX)
        .map(|n| (name(&format!("n{n}")), Secret::new("\u{1}".repeat(SECRET_BYTES_MAX))))
        .collect();
    let refused = [long(SECRET_BYTES_MAX + 1), many(SECRETS_MAX + 1), escapes]
        .map(|secrets| key().seal([9; 24], &secrets).unwrap_err().to_string());
    insta::assert_snapshot!(refused.join("\n"), @r"
    a secret has at most 65536 bytes, and this one has 65537
    a vault holds at most 256 secrets
    the secrets are too long together
    ");
}

#[test]
fn every_secret_at_its_longest_fits() {
    let full: Secrets = (0..SECRETS_MAX)
        .map(|n| (name(&format!("n{n}")), Secret::new("s".repeat(SECRET_BYTES_MAX))))
        .collect();
    assert!(json(&full).unwrap().len() < PLAIN_BYTES_MAX);
    let text = PLAIN_BYTES_MAX.div_ceil(3) * 4;
    assert!(text + 1024 < SEALED_BYTES_MAX, "{text} bytes of base64");
}

#[test]
fn a_key_is_not_shown() {
    assert_eq!(format!("{:?}", key()), "SealKey(..)");
}

#[test]
fn a_key_can_be_passed_on_and_nothing_else_is_taken_for_one() {
    let passed = SealKey::from_secret(&key().to_secret()).unwrap();
    let text = key().seal([9; 24], &sample()).unwrap();
    assert_eq!(Sealed::parse(&text).unwrap().open(&passed), Ok(sample()));
    let whole = key().to_secret();
    let cut = Secret::new(&whole.expose()[..whole.expose().len() - 5]);
    for other in [Secret::new(""), Secret::new("19456 2 1 x y"), cut] {
        assert!(SealKey::from_secret(&other).is_none());
    }
}

proptest! {
    #[test]
    fn what_was_sealed_comes_out(
        secrets in proptest::collection::btree_map("[a-z0-9][a-z0-9._-]{0,62}", ".{0,200}", 0..20),
        nonce: [u8; 24],
    ) {
        let secrets: Secrets =
            secrets.into_iter().map(|(n, secret)| (name(&n), Secret::new(secret))).collect();
        let text = key().seal(nonce, &secrets).unwrap();
        prop_assert_eq!(opened(&text), Ok(secrets));
    }

    #[test]
    fn no_text_upsets_the_reader(text in "(breakglass-vault 1\n)?(argon2id m=[0-9]{1,11} t=[0-9] p=[0-9]\n)?(salt [A-Za-z0-9+/=]{0,30}\n)?.{0,99}\n?") {
        prop_assert!(opened(&text).is_err());
    }

    #[test]
    fn another_byte_anywhere_is_refused(at: prop::sample::Index, byte in 0u8..128) {
        let text = key().seal([9; 24], &sample()).unwrap();
        let mut bytes = text.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(opened(&String::from_utf8(bytes).unwrap()).is_err());
    }
}
