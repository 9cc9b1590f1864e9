//! The style sheet, the script and the icon.

use crate::{
    browser::Browser,
    world::{World, operator},
};

#[actix_web::test]
async fn what_a_page_loads_is_kept_under_its_own_address_alone() {
    let world = World::new();
    let browser = Browser::of(&world, operator("olga"));
    let document = browser.get("/console/help").await.ok().document();
    let loaded = document.tags.iter().filter_map(|tag| {
        let address = tag.attribute("src").or(tag.attribute("href"))?;
        address.starts_with("/console/assets/").then_some(address)
    });
    let loaded: Vec<&str> = loaded.collect();
    assert_eq!(loaded.len(), 3, "{loaded:?}");
    for address in loaded {
        let kept = async |address: &str| {
            let file = browser.get(address).await.ok();
            (file.header("cache-control"), file.body)
        };
        let (own, text) = kept(address).await;
        assert_eq!(own, "public, max-age=31536000, immutable");
        let (path, hash) = address.split_once('?').unwrap();
        // Of another release, of none, and with something added.
        for other in ["?0123456789abcdef", "", &format!("?{hash}&x=1")] {
            let other = kept(&format!("{path}{other}")).await;
            assert_eq!(other, ("no-store".to_owned(), text.clone()), "{path}");
        }
    }
}
