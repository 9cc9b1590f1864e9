//! Every endpoint against every kind of credential.

use actix_web::http::Method;
use bursar_ports::Permission;

use crate::world::{
    ALICE, CANCEL, CONFIRM, DEPOSIT, HISTORY, INTERNAL, Sent, TRANSFERS, WITHDRAW, World,
};

use Permission::{
    Admin, AllowBalance, AllowTransfer, BackofficeConfirm, BackofficeRead, BackofficeWrite,
};

/// Method, path, and the permissions any of which opens it.
fn endpoints() -> Vec<(Method, String, Vec<Permission>)> {
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let admin = |path: &str| format!("/admin/v1{path}");
    let readers = || vec![Admin, BackofficeRead];
    vec![
        (post.clone(), DEPOSIT.into(), vec![BackofficeWrite]),
        (post.clone(), WITHDRAW.into(), vec![BackofficeWrite]),
        (post.clone(), CONFIRM.into(), vec![BackofficeConfirm]),
        (post.clone(), CANCEL.into(), vec![BackofficeWrite]),
        (get.clone(), HISTORY.into(), vec![BackofficeRead]),
        (get.clone(), TRANSFERS.into(), vec![BackofficeRead]),
        (post.clone(), INTERNAL.into(), vec![AllowTransfer]),
        (get.clone(), INTERNAL.into(), vec![AllowTransfer]),
        (get.clone(), format!("{INTERNAL}/x"), vec![AllowTransfer]),
        (post.clone(), "/address-book".into(), vec![AllowTransfer]),
        (get.clone(), "/address-book".into(), vec![AllowTransfer]),
        (
            delete.clone(),
            "/address-book/x".into(),
            vec![AllowTransfer],
        ),
        (get.clone(), "/balance".into(), vec![AllowBalance]),
        (get.clone(), admin("/assets"), readers()),
        (get.clone(), admin("/assets/btc"), readers()),
        (put.clone(), admin("/assets/btc"), vec![Admin]),
        (get.clone(), admin("/users"), readers()),
        (get.clone(), admin("/users/x"), readers()),
        (put.clone(), admin("/users/x"), vec![Admin]),
        (get.clone(), admin("/tokens"), vec![Admin]),
        (post.clone(), admin("/tokens"), vec![Admin]),
        (delete.clone(), admin("/tokens/x"), vec![Admin]),
        (get.clone(), admin("/access-keys"), vec![Admin]),
        (post, admin("/access-keys"), vec![Admin]),
        (delete, admin("/access-keys/x"), vec![Admin]),
        (get.clone(), admin("/balances"), readers()),
        (get.clone(), admin("/rates/btc"), readers()),
        (put, admin("/rates/btc"), vec![Admin]),
        (get, admin("/transfers/x"), readers()),
    ]
}

/// A request that is wrong in its syntax, so that nothing after the permission can be taken for it.
fn request(method: &Method, path: &str) -> Sent {
    let sent = Sent::new(method.clone(), path);
    if matches!(*method, Method::POST | Method::PUT) {
        sent.header("Content-Type", "application/json").raw(b"{")
    } else {
        sent
    }
}

#[actix_web::test]
async fn only_the_right_permission_opens_an_endpoint() {
    let world = World::new();
    for permission in Permission::ALL {
        let name = permission.as_str();
        let user = [AllowTransfer, AllowBalance].contains(&permission);
        world.put_token(name, name, user.then_some(ALICE), &[permission]);
    }
    for (method, path, open_to) in endpoints() {
        for permission in Permission::ALL {
            let sent = request(&method, &path).bearer(permission.as_str());
            let answer = world.send(sent).await;
            let name = permission.as_str();
            if open_to.contains(&permission) {
                assert!(
                    ![401, 403].contains(&answer.status),
                    "{method} {path} as {name}: {}",
                    answer.body
                );
            } else {
                let expected = (403, "permission.missing".to_owned());
                assert_eq!(answer.refusal(), expected, "{method} {path} as {name}");
                let wanted = open_to[0].as_str();
                assert!(answer.body.contains(wanted), "{}", answer.body);
            }
        }
        let nobody = world.send(request(&method, &path)).await;
        let expected = (401, "credentials.missing".to_owned());
        assert_eq!(nobody.refusal(), expected, "{method} {path}");
    }
}

#[actix_web::test]
async fn users_apis_need_a_user() {
    let world = World::new();
    for (method, path, open_to) in endpoints() {
        if !open_to.contains(&AllowTransfer) && !open_to.contains(&AllowBalance) {
            continue;
        }
        let sent = request(&method, &path).bearer(crate::world::OPERATOR);
        let answer = world.send(sent).await;
        assert_eq!(answer.refusal(), (403, "user.required".into()), "{path}");
    }
}

#[actix_web::test]
async fn a_users_credential_is_no_operators_whatever_it_says() {
    let world = World::new();
    world.put_token("bur_mighty", "mighty", Some(ALICE), &Permission::ALL);
    for (method, path, open_to) in endpoints() {
        let answer = world
            .send(request(&method, &path).bearer("bur_mighty"))
            .await;
        if open_to.contains(&AllowTransfer) || open_to.contains(&AllowBalance) {
            assert!(![401, 403].contains(&answer.status), "{method} {path}");
        } else {
            let expected = (403, "permission.missing".to_owned());
            assert_eq!(answer.refusal(), expected, "{method} {path}");
        }
    }
}
