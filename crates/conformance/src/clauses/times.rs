//! §0, times in.

use crate::{
    answer::text,
    clause::clauses,
    scene::{HISTORY, Scene, TRANSFERS, User},
};

clauses! { "0.3 Times that come in",
    "Documented: `startDate`, `from`, `start_at`: the earliest date and time": times_are_rfc3339
        = "Times are RFC 3339 date-times with 0 to 9 fraction digits.",
    "Documented: YYYY-MM-DDThh:mm:ss": a_time_without_a_zone_is_utc
        = "A time without a zone is UTC.",
    "Decision: any zone is a zone": a_time_may_have_an_offset
        = "A zone may be `Z` or an offset such as `+02:00`.",
    "Decision: a `+` in a query arrives as a blank": a_plus_that_became_a_blank_is_a_plus
        = "The `+` of an offset may arrive as a blank.",
    "Decision: a date is its first instant": a_bare_date_is_its_midnight
        = "A bare date is 00:00:00 UTC of that day.",
    "Documented: start and end are inclusive": bounds_are_inclusive
        = "A row at exactly the bound is in the list, one microsecond further it is not.",
    "Decision: what cannot be read is refused": what_is_no_time_is_refused
        = "Anything else is 400 with the parameter's `….invalid`.",
}

/// How many transfers of a user the list has with this query.
async fn found(scene: &Scene, user: &User, query: &str) -> usize {
    let path = format!("{HISTORY}?userId={}&{query}", user.id);
    scene.reader().get(&path).await.ok().rows().len()
}

/// A user with one deposit, and when that was created.
async fn one(scene: &Scene) -> (User, String) {
    let user = scene.user().await;
    let created = scene.fund(&user, "btc", "1").await.text("createdAt");
    (user, created)
}

async fn times_are_rfc3339(scene: Scene) {
    let (user, _) = one(&scene).await;
    for fraction in ["", ".1", ".123", ".123456", ".123456789"] {
        let early = format!("startDate=2020-01-01T00:00:00{fraction}Z");
        assert_eq!(found(&scene, &user, &early).await, 1, "{early}");
        let late = format!("startDate=2999-01-01T00:00:00{fraction}Z");
        assert_eq!(found(&scene, &user, &late).await, 0, "{late}");
    }
}

async fn a_time_without_a_zone_is_utc(scene: Scene) {
    let (user, created) = one(&scene).await;
    let bare = created.trim_end_matches('Z');
    let query = format!("startDate={bare}&endDate={bare}");
    assert_eq!(found(&scene, &user, &query).await, 1);
}

async fn a_time_may_have_an_offset(scene: Scene) {
    let (user, created) = one(&scene).await;
    for zone in ["%2B00:00", "-00:00", "Z", "z"] {
        let at = created.replace('Z', zone);
        let query = format!("startDate={at}&endDate={at}");
        assert_eq!(found(&scene, &user, &query).await, 1, "{at}");
    }
    // The same clock time, two hours further east, is two hours earlier.
    let east = created.replace('Z', "%2B02:00");
    assert_eq!(found(&scene, &user, &format!("endDate={east}")).await, 0);
    let west = created.replace('Z', "-02:00");
    assert_eq!(found(&scene, &user, &format!("startDate={west}")).await, 0);
}

async fn a_plus_that_became_a_blank_is_a_plus(scene: Scene) {
    let (user, created) = one(&scene).await;
    for blank in ["+", "%20"] {
        let at = created.replace('Z', &format!("{blank}00:00"));
        let query = format!("startDate={at}&endDate={at}");
        assert_eq!(found(&scene, &user, &query).await, 1, "{at}");
    }
}

async fn a_bare_date_is_its_midnight(scene: Scene) {
    let (user, created) = one(&scene).await;
    let day = created.split('T').next().expect("a time has a date");
    assert_eq!(found(&scene, &user, &format!("startDate={day}")).await, 1);
    assert_eq!(found(&scene, &user, &format!("endDate={day}")).await, 0);
}

async fn bounds_are_inclusive(scene: Scene) {
    let (user, created) = one(&scene).await;
    for (from, to) in [("startDate", "endDate"), ("from", "to")] {
        let list = if from == "from" { TRANSFERS } else { HISTORY };
        let path = format!("{list}?userId={}&{from}={created}&{to}={created}", user.id);
        let rows = scene.reader().get(&path).await.ok().rows();
        assert_eq!(rows.len(), 1, "{path}");
        let only = rows.first().expect("there is one");
        assert_eq!(text(only, "createdAt"), created);
    }
    let (second, micros) = created
        .trim_end_matches('Z')
        .split_once('.')
        .expect("a fraction");
    let micros: u32 = micros.parse().expect("six digits");
    // At the very end of a second the next microsecond has another second.
    if micros < 999_999 {
        let beyond = format!("startDate={second}.{:06}Z", micros + 1);
        assert_eq!(found(&scene, &user, &beyond).await, 0);
    }
    if micros > 0 {
        let before = format!("endDate={second}.{:06}Z", micros - 1);
        assert_eq!(found(&scene, &user, &before).await, 0);
    }
}

async fn what_is_no_time_is_refused(scene: Scene) {
    let user = scene.user().await;
    for wrong in [
        "yesterday",
        "2021-13-01",
        "2021-02-30",
        "2021-04-09T25:00:00Z",
        "1617965440",
        "2021-04-09T10:50:40.1234567890Z",
        "2021-04-09T10:50:40%2B99:00",
        "2021-04-09T10:50",
    ] {
        let path = format!("{HISTORY}?userId={}&startDate={wrong}", user.id);
        scene
            .reader()
            .get(&path)
            .await
            .refused(400, "startDate.invalid");
        let path = format!("{TRANSFERS}?to={wrong}");
        scene.reader().get(&path).await.refused(400, "to.invalid");
        let path = format!("/internal-transfer?end_at={wrong}");
        user.own.get(&path).await.refused(400, "end_at.invalid");
    }
}
