//! How each protocol says no in words, such that its usual client prints them.

/// The first byte of a TLS record with a handshake in it (RFC 8446, 5.1).
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

/// A fatal alert, `handshake_failure` (RFC 8446, 6).
pub(super) const TLS_ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

/// The identification string (RFC 4253, 4.2).
pub(super) const SSH_BANNER: &[u8] = b"SSH-2.0-drill\r\n";

/// The codes of `SSLRequest` and `GSSENCRequest`.
pub(super) const POSTGRES_SSL: &[u8] = &80_877_103_u32.to_be_bytes();
pub(super) const POSTGRES_GSS: &[u8] = &80_877_104_u32.to_be_bytes();

/// An `ErrorResponse`: severity, code `cannot_connect_now`, message.
pub(super) fn postgres(name: &str) -> Vec<u8> {
    let words = words(name);
    let fields = format!("SFATAL\0VFATAL\0C57P03\0M{words}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap_or_default();
    [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()
}

/// An ERR packet instead of the greeting: `ER_SERVER_SHUTDOWN`.
pub(super) fn mysql(name: &str) -> Vec<u8> {
    let body = [&[0xff], &1053_u16.to_le_bytes()[..], words(name).as_bytes()].concat();
    let [a, b, c, _] = u32::try_from(body.len()).unwrap_or_default().to_le_bytes();
    [&[a, b, c, 0][..], &body].concat()
}

/// `SSH_MSG_DISCONNECT` by the application, before any key exchange (RFC 4253, 6 and 11.1).
pub(super) fn ssh(name: &str) -> Vec<u8> {
    let words = words(name);
    let length = u32::try_from(words.len()).unwrap_or_default();
    let parts = [&[1][..], &11_u32.to_be_bytes(), &length.to_be_bytes(), words.as_bytes(), &[0; 4]];
    let payload = parts.concat();
    // At least four bytes of padding, up to a multiple of eight in all.
    let padding = 8 - (5 + payload.len()) % 8;
    let padding = if padding < 4 { padding + 8 } else { padding };
    let length = u32::try_from(1 + payload.len() + padding).unwrap_or_default();
    let count = u8::try_from(padding).unwrap_or_default();
    [&length.to_be_bytes()[..], &[count], &payload, &vec![0; padding]].concat()
}

fn words(name: &str) -> String {
    format!("this is a drill: {name} has no data")
}
