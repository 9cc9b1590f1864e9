//! The contrast of every pair of colours that meets, in both themes (WCAG 2.2 AA).

use std::collections::BTreeMap;

const CSS: &str = include_str!("../../src/assets/console.css");

/// What is written in which colour on what.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "ink",
        &[
            "paper", "sheet", "sunk", "info-bg", "good-bg", "bad-bg", "wait-bg",
        ],
    ),
    ("muted", &["paper", "sheet", "sunk", "info-bg"]),
    (
        "accent",
        &[
            "paper", "sheet", "sunk", "info-bg", "good-bg", "bad-bg", "wait-bg",
        ],
    ),
    ("on-accent", &["accent"]),
    ("good", &["good-bg"]),
    ("wait", &["wait-bg"]),
    ("bad", &["bad-bg", "paper", "sheet"]),
    ("info", &["info-bg"]),
    ("off", &["off-bg"]),
];
/// What is only seen: edges of fields, bars, marks.
const SEEN: &[(&str, &[&str])] = &[
    ("edge", &["paper", "sheet"]),
    ("accent", &["paper", "sheet"]),
    ("wait", &["sheet"]),
    ("bad", &["sheet"]),
];

fn colours() -> BTreeMap<&'static str, [u32; 2]> {
    let hex = |text: &str| {
        u32::from_str_radix(text.trim().trim_start_matches('#'), 16).expect("a colour")
    };
    let pairs = CSS.lines().filter_map(|line| {
        let (name, rest) = line
            .trim()
            .strip_prefix("--")?
            .split_once(": light-dark(")?;
        let (light, dark) = rest.strip_suffix(");")?.split_once(',')?;
        Some((name, [hex(light), hex(dark)]))
    });
    pairs.collect()
}

fn luminance(colour: u32) -> f64 {
    let channel = |shift: u32| {
        let value = f64::from((colour >> shift) & 0xff) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
}

fn contrast(one: u32, other: u32) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn everything_can_be_read_in_both_themes() {
    let colours = colours();
    for (pairs, least) in [(TEXTS, 4.5), (SEEN, 3.0)] {
        for (name, grounds) in pairs {
            for ground in *grounds {
                for (theme, place) in [("light", 0), ("dark", 1)] {
                    let found = contrast(colours[name][place], colours[ground][place]);
                    assert!(found >= least, "{name} on {ground}, {theme}: {found:.2}");
                }
            }
        }
    }
}

#[test]
fn there_are_no_colours_beside_those() {
    let body = CSS.split_once("--gap").expect("the colours come first").1;
    for line in body.lines() {
        assert!(!line.contains('#') || line.contains("/*"), "{line}");
        assert!(!line.contains("rgb") && !line.contains("url("), "{line}");
    }
}
