//! Where somebody goes once signed in.

use crate::desk::own_path;

/// The longest address that is remembered, in bytes.
const BYTES_MAX: usize = 2_048;

/// A page of the console's own, and of nobody else's; nor the sign-in itself.
pub(super) fn own_page(path: &str) -> Option<&str> {
    let leads_on = !path.starts_with("/console/sign-") && path.len() <= BYTES_MAX;
    own_path(path).filter(|_| leads_on)
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
