//! Where somebody goes once signed in.

/// The longest address that is remembered, in bytes.
const BYTES_MAX: usize = 2_048;

/// A page of the console's own, and of nobody else's; nor the sign-in itself.
pub(super) fn own_page(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/console")?;
    let is_own = rest.is_empty() || rest.starts_with(['/', '?']);
    let is_plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let leads_on = !rest.starts_with("/sign-");
    (is_own && is_plain && leads_on && path.len() <= BYTES_MAX).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for own in [
            "/console",
            "/console?x=1",
            "/console/queue?sort=age&next=https://x",
        ] {
            assert_eq!(own_page(own), Some(own));
        }
        let long = format!("/console/{}", "x".repeat(2_048));
        for other in [
            "",
            "/",
            "console",
            "//evil.example",
            "//evil.example/console",
            "https://evil.example/console",
            "/consolex",
            "/console.evil.example",
            "/console@evil.example",
            "/console\\@evil.example",
            "/console/\r\nset-cookie: a=b",
            "/console/ x",
            "/console/é",
            "/console/sign-in",
            "/console/sign-out",
            "/admin/v1/users",
            "javascript:alert(1)",
            &long,
        ] {
            assert_eq!(own_page(other), None, "{other}");
        }
    }
}
