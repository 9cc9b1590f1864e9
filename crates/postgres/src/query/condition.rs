//! Conditions on rows of `transfers`.
//!
//! Kinds and states stand in the text, as the predicates of the partial indexes have them: the
//! planner cannot prove from a parameter that an index may be used, and it knows how many rows a
//! state has only when it sees which.

use bursar_domain::{Kind, Status, Timestamp};
use bursar_ports::ListPlace;
use diesel::{
    pg::Pg,
    prelude::QueryResult,
    query_builder::{AstPass, QueryFragment},
    sql_types::{Array, BigInt, Numeric, Text, Timestamptz, Uuid as SqlUuid},
};
use uuid::Uuid;

use crate::value::{At, Units};

/// One condition.
#[derive(Clone, Debug)]
pub(super) struct Condition(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Sql(&'static str),
    Id(i64),
    User(Uuid),
    Users(Vec<Uuid>),
    Text(String),
    Amount(Units),
    Time(At),
}

use Piece::Sql;

/// The `timestamp` of an internal transfer: when it was done, else when it was created.
const STAMP: Piece = Sql("CASE WHEN state = 'Pending' THEN created_at ELSE updated_at END");

impl Condition {
    /// A deposit or withdrawal.
    pub(super) fn backoffice() -> Self {
        Self(vec![Sql("kind <> 'internal'")])
    }

    /// Of this kind.
    pub(super) fn kind(kind: Kind) -> Self {
        Self(vec![Sql("kind = '"), Sql(kind.as_str()), Sql("'")])
    }

    /// In this state.
    pub(super) fn state(state: Status) -> Self {
        Self(vec![Sql("state = '"), Sql(state.as_str()), Sql("'")])
    }

    /// With this id.
    pub(super) fn id(id: i64) -> Self {
        Self(vec![Sql("id = "), Piece::Id(id)])
    }

    /// Of this user, who was credited or debited, or sent it.
    pub(super) fn owner(user: Uuid) -> Self {
        Self(vec![Sql("user_id = "), Piece::User(user)])
    }

    /// Of one of these users.
    pub(super) fn owner_among(users: Vec<Uuid>) -> Self {
        Self(vec![Sql("user_id = ANY("), Piece::Users(users), Sql(")")])
    }

    /// Of none of these users.
    pub(super) fn owner_not_among(users: Vec<Uuid>) -> Self {
        Self(vec![Sql("user_id <> ALL("), Piece::Users(users), Sql(")")])
    }

    /// An internal transfer that this user received for good.
    pub(super) fn received_by(user: Uuid) -> Self {
        let received = Sql("kind = 'internal' AND state = 'Success' AND recipient_id = ");
        Self(vec![received, Piece::User(user)])
    }

    /// Of one of these users, or received for good by one.
    pub(super) fn party_among(users: Vec<Uuid>) -> Self {
        Self(vec![
            Sql("(user_id = ANY("),
            Piece::Users(users.clone()),
            Sql(") OR (kind = 'internal' AND state = 'Success' AND recipient_id = ANY("),
            Piece::Users(users),
            Sql(")))"),
        ])
    }

    /// Of this asset.
    pub(super) fn asset(asset: &str) -> Self {
        Self(vec![Sql("asset = "), Piece::Text(asset.to_owned())])
    }

    /// With this identifier of the sender's.
    pub(super) fn custom_id(custom_id: &str) -> Self {
        Self(vec![Sql("custom_id = "), Piece::Text(custom_id.to_owned())])
    }

    /// Of this amount, in smallest units, or more.
    pub(super) fn amount_from(units: i128) -> Self {
        Self(vec![Sql("amount >= "), Piece::Amount(Units(units))])
    }

    /// Of this amount, in smallest units, or less.
    pub(super) fn amount_to(units: i128) -> Self {
        Self(vec![Sql("amount <= "), Piece::Amount(Units(units))])
    }

    /// Created at or after.
    pub(super) fn created_from(at: Timestamp) -> Self {
        Self(vec![Sql("created_at >= "), Piece::Time(At(at))])
    }

    /// Created at or before.
    pub(super) fn created_to(at: Timestamp) -> Self {
        Self(vec![Sql("created_at <= "), Piece::Time(At(at))])
    }

    /// `timestamp` at or after.
    pub(super) fn stamp_from(at: Timestamp) -> Self {
        Self(vec![STAMP, Sql(" >= "), Piece::Time(At(at))])
    }

    /// `timestamp` before. Nothing is done before it is created, so the range of an index can leave
    /// out what came later.
    pub(super) fn stamp_before(at: Timestamp) -> Self {
        let end = || Piece::Time(At(at));
        let created = Sql("created_at < ");
        Self(vec![created, end(), Sql(" AND "), STAMP, Sql(" < "), end()])
    }

    /// Further down the list, which is newest first.
    pub(super) fn after(place: ListPlace) -> Self {
        Self::at("(created_at, id) < (", place)
    }

    /// Not further down the list than this place.
    pub(super) fn up_to(place: ListPlace) -> Self {
        Self::at("(created_at, id) >= (", place)
    }

    fn at(compared: &'static str, place: ListPlace) -> Self {
        let (at, id) = (At(place.created_at), place.id.get());
        let pieces = [
            Sql(compared),
            Piece::Time(at),
            Sql(", "),
            Piece::Id(id),
            Sql(")"),
        ];
        Self(pieces.into())
    }
}

impl QueryFragment<Pg> for Condition {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for piece in &self.0 {
            match piece {
                Piece::Sql(text) => out.push_sql(text),
                Piece::Id(id) => out.push_bind_param::<BigInt, _>(id)?,
                Piece::User(user) => out.push_bind_param::<SqlUuid, _>(user)?,
                Piece::Users(users) => out.push_bind_param::<Array<SqlUuid>, _>(users)?,
                Piece::Text(text) => out.push_bind_param::<Text, _>(text)?,
                Piece::Amount(units) => out.push_bind_param::<Numeric, _>(units)?,
                Piece::Time(at) => out.push_bind_param::<Timestamptz, _>(at)?,
            }
        }
        Ok(())
    }
}
