//! What shows who somebody is, and who has an account.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::{
    super::{
        client::Answer,
        exchange::issue,
        gateway, issuer,
        service::{CODE_KEY, MASTER_KEY},
    },
    Scene,
    planted::Planted,
};

const USERS: &str = "/admin/v1/users";
/// The id of a user whose name and address are secret.
pub(super) const ID: &str = "77777777-7777-4777-8777-777777777777";
/// The id of somebody who is never made.
const OTHER: &str = "88888888-8888-4888-8888-888888888888";

pub(super) async fn plant(scene: &Scene, planted: &mut Planted) {
    plant_configuration(scene, planted);
    use_tokens(scene, planted).await;
    issue_callback_secrets(scene, planted).await;
    make_user(scene, planted).await;
    use_access_key(scene, planted).await;
    use_jwts(scene, planted).await;
    be_a_stranger(scene, planted).await;
}

/// What the service was started with.
fn plant_configuration(scene: &Scene, planted: &mut Planted) {
    let password = scene.database.url().split([':', '@']).nth(2).unwrap();
    planted.secret("the password of the database", password);
    let master_key = MASTER_KEY.split_once(':').unwrap().1;
    planted.secret("the master key", master_key);
    planted.secret("the code key", CODE_KEY);
    planted.secret("what JWTs are signed with", issuer::SECRET);
    let payouts = gateway::SECRET.strip_prefix("whsec_").unwrap();
    planted.secret("what payouts are signed with", payouts);
}

async fn use_tokens(scene: &Scene, planted: &mut Planted) {
    let exchange = &scene.exchange;
    planted.secret("a token of the command line", &exchange.admin);
    planted.secret("the token of the back office", &exchange.backoffice);
    planted.secret("the token of a user", &exchange.traders[0].token);
    let token = issue(&scene.admin(), "reader", None, &["backoffice_read"]).await;
    planted.secret("a token that was issued", &token);
    let reader = scene.client.with(&token);
    reader.get("/admin/v1/stops").await.ok();
}

/// They sign all callbacks from here on.
async fn issue_callback_secrets(scene: &Scene, planted: &mut Planted) {
    for (place, subscriber) in [
        (
            "the callback secret of the back office",
            json!({"subject": "backoffice"}),
        ),
        (
            "the callback secret of a user",
            json!({"user_id": scene.user()}),
        ),
    ] {
        let path = "/admin/v1/callback-secrets";
        let issued = scene.admin().post(path, subscriber.to_string()).await.ok();
        let secret = issued.text_of("secret");
        planted.secret(place, secret.strip_prefix("whsec_").unwrap());
    }
}

/// Makes the secret user, finds it, and fails to make another one like it.
async fn make_user(scene: &Scene, planted: &mut Planted) {
    let admin = scene.admin();
    let name = planted.canary("the name of a user");
    let email = format!("{}@example.com", planted.canary("the email of a user"));
    let user = json!({
        "username": name, "email": email, "roles": [planted.canary("the role of a user")],
        "status": "Active",
    });
    let path = format!("{USERS}/{ID}");
    let made = admin.put(&path, user.to_string()).await.ok();
    assert_eq!(made.text_of("username"), name);
    let found = admin.get(&format!("{USERS}?search={name}")).await.ok();
    assert!(found.text.contains(&email), "{}", found.text);
    let nobody = planted.canary("a search for users");
    admin.get(&format!("{USERS}?search={nobody}")).await.ok();
    let taken = json!({
        "username": planted.canary("the name of somebody with another's email"),
        "email": email, "roles": [], "status": "Active",
    });
    let path = format!("{USERS}/{OTHER}");
    let taken = admin.put(&path, taken.to_string()).await;
    let taken = taken.refused(422, "email.taken");
    planted.assert_not_in("a refusal", &taken.text);
}

/// A key that signs a request, and signatures that are none.
async fn use_access_key(scene: &Scene, planted: &mut Planted) {
    let key = json!({"user_id": ID, "permissions": ["allow_balance"]}).to_string();
    let key = scene.admin().post("/admin/v1/access-keys", key).await.ok();
    let (access_key, secret_key) = (key.text_of("access_key"), key.text_of("secret_key"));
    planted.secret("the secret of an access key", &secret_key);
    let millis = soon();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()).unwrap();
    for part in [access_key.as_str(), "/balance", &millis] {
        mac.update(part.as_bytes());
    }
    let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
    planted.secret("the signature of a request", &signature);
    ask(scene, &access_key, &millis, &signature).await.ok();

    let signature = planted.canary("a signature that is none");
    let wrong = ask(scene, &access_key, &soon(), &signature).await;
    let wrong = wrong.refused(401, "signature.invalid");
    let stale = ask(scene, &access_key, "1", &signature).await;
    let stale = stale.refused(401, "timestamp.expired");
    let when = planted.canary("a time that is none");
    let timeless = ask(scene, &access_key, &when, &signature).await;
    let timeless = timeless.refused(401, "timestamp.invalid");
    let access_key = planted.canary("an access key that nobody has");
    let unknown = ask(scene, &access_key, &soon(), &signature).await;
    let unknown = unknown.refused(401, "access_key.unknown");
    for refused in [wrong, stale, timeless, unknown] {
        planted.assert_not_in("a refusal", &refused.text);
    }
}

/// Nearly as far ahead as it may be, in milliseconds since the epoch.
fn soon() -> String {
    format!("{}000", issuer::now() + 4)
}

async fn ask(scene: &Scene, access_key: &str, millis: &str, signature: &str) -> Answer {
    let headers = [
        ("x-access-key", access_key),
        ("x-timestamp", millis),
        ("x-signature", signature),
    ];
    scene.client.get_with("/balance", &headers).await
}

/// A JWT that is good and one that is not. What is looked for of each is its signature, what its claims
/// say, and how all of them begin.
async fn use_jwts(scene: &Scene, planted: &mut Planted) {
    let mut claims = issuer::claims("alice", Some(scene.user()), "allow_balance");
    let email = planted.canary("a claim of a JWT");
    claims["email"] = json!(format!("{email}@example.com"));
    let good = issuer::token(&claims);
    assert!(good.starts_with("eyJhbGciOiJ"), "{good}");
    planted.secret("any JWT", "eyJhbGciOiJ");
    planted.secret("the signature of a JWT", good.rsplit('.').next().unwrap());
    scene.client.with(&good).get("/balance").await.ok();

    claims["exp"] = json!(1);
    let old = issuer::token(&claims);
    let signature = old.rsplit('.').next().unwrap();
    planted.secret("the signature of a JWT that has expired", signature);
    let refused = scene.client.with(&old).get("/balance").await;
    let refused = refused.refused(401, "token.invalid");
    planted.assert_not_in("a refusal", &refused.text);
}

async fn be_a_stranger(scene: &Scene, planted: &mut Planted) {
    let opaque = format!("bur_{}", planted.canary("a token that nobody has"));
    let jwt = planted.canary("a JWT that is none");
    for token in [opaque, jwt] {
        let refused = scene.client.with(&token).get("/balance").await;
        let refused = refused.refused(401, "token.invalid");
        planted.assert_not_in("a refusal", &refused.text);
    }
    let basic = format!("Basic {}", planted.canary("credentials of another scheme"));
    let headers = [("authorization", basic.as_str())];
    let refused = scene.client.get_with("/balance", &headers).await;
    let refused = refused.refused(401, "credentials.missing");
    planted.assert_not_in("a refusal", &refused.text);
}
