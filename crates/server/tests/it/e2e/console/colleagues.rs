//! Operators who look after each other.

use super::at_work::Office;

#[tokio::test]
async fn a_lost_laptop_is_shut_out_by_a_colleague() {
    let office = Office::open().await;
    let (anna, ben) = (office.anna().await, office.ben().await);
    ben.open("/console/queue").await;
    ben.sees("Nothing waits.").await;
    anna.press("gp").await;
    anna.sees("End signs ben out there at once").await;
    anna.click("section[aria-labelledby=\"o-ben\"] form button")
        .await;
    anna.sees("The session has ended.").await;
    anna.sees("Signed in nowhere.").await;
    ben.open("/console/queue").await;
    ben.find("form.sign-in").await;

    let log = office.service.client().with(&office.exchange.admin);
    let log = log.get("/admin/v1/audit?target=operator:ben").await.ok();
    let row = log.json()["data"][0].clone();
    assert_eq!(row["action"], "operator.end_session", "{row}");
    assert_eq!(row["actor"], "anna", "{row}");
    let credential = row["credential"].as_str().unwrap();
    assert!(credential.starts_with("session:"), "{row}");
    assert_eq!(row["request_id"].as_str().unwrap().len(), 32, "{row}");
    assert!(row["before"]["session"].is_string(), "{row}");
    anna.close().await;
    ben.close().await;
    office.close().await;
}

#[tokio::test]
async fn without_script_too() {
    let office = Office::open().await;
    let (anna, ben) = (office.anna().await, office.ben().await);
    anna.without_script().await;
    anna.open("/console/operators").await;
    anna.click("section[aria-labelledby=\"o-ben\"] form button")
        .await;
    anna.sees("The session has ended.").await;
    ben.open("/console/queue").await;
    ben.find("form.sign-in").await;
    // One's own as well, which is signing out.
    anna.click("section[aria-labelledby=\"o-anna\"] form button")
        .await;
    anna.find("form.sign-in").await;
    anna.close().await;
    ben.close().await;
    office.close().await;
}
