//! `/admin/v1/assets`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::FieldError;
use bursar_domain::{Asset, AssetId, Scale};
use bursar_ports::{Expected, Permission};
use serde::Serialize;

use super::page::{List, Page};
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

/// The longest name, in characters.
const NAME_MAX: usize = 255;

#[derive(Serialize)]
struct AssetBody<'a> {
    id: &'a str,
    name: &'a str,
    scale: u8,
    can_deposit: bool,
    can_withdraw: bool,
    can_transfer: bool,
}

impl<'a> AssetBody<'a> {
    fn of(asset: &'a Asset) -> Self {
        Self {
            id: asset.id.as_str(),
            name: &asset.name,
            scale: asset.scale.get(),
            can_deposit: asset.can_deposit,
            can_withdraw: asset.can_withdraw,
            can_transfer: asset.can_transfer,
        }
    }
}

/// There are so few assets that the use case gives all of them.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let mut query = call.query(Names::Strict)?;
    let page = Page::read(call.app(), &mut query, "assets", |key| {
        AssetId::parse(key).ok()
    });
    let page = query.finish(Some(page))?;
    let mut assets = call.app().list_assets(&grant).await?;
    assets.retain(|asset| page.after.is_none_or(|after| asset.id > after));
    let next_cursor = page.cut(&mut assets, |asset| asset.id.to_string());
    let data = assets.iter().map(AssetBody::of).collect();
    answer::json(&List { data, next_cursor })
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let id = call.only(parse_asset_id(&call))?;
    let asset = call.app().find_asset(&grant, id).await?;
    answer::json(&AssetBody::of(&asset))
}

pub(super) async fn replace(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let asset = read(&call)?;
    let asset = call
        .app()
        .put_asset(&grant, asset, Expected::Anything)
        .await?;
    answer::json(&AssetBody::of(&asset))
}

fn read(call: &Call) -> Result<Asset, Problem> {
    let mut fields = call.fields(Names::Strict)?;
    let id = fields.also(parse_asset_id(call));
    let name = fields.required_text(name!("name"), NAME_MAX);
    let scale = fields.integer(name!("scale"), 0, Scale::MAX.get().into());
    let can_deposit = fields.boolean(name!("can_deposit"));
    let can_withdraw = fields.boolean(name!("can_withdraw"));
    let can_transfer = fields.boolean(name!("can_transfer"));
    let read = || {
        Some(Asset {
            id: id?,
            name: name?,
            scale: Scale::try_new(u8::try_from(scale?).ok()?).ok()?,
            can_deposit: can_deposit?,
            can_withdraw: can_withdraw?,
            can_transfer: can_transfer?,
        })
    };
    fields.finish(read())
}

fn parse_asset_id(call: &Call) -> Result<AssetId, FieldError> {
    AssetId::parse(call.segment("id"))
        .map_err(|error| FieldError::new("id", "id.invalid", error.to_string()))
}
