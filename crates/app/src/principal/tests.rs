use super::*;
use crate::test_support::{ALICE, alice, audited, operator};

fn principal(permissions: &[Permission]) -> Principal {
    Principal {
        subject: "somebody".to_owned(),
        user: None,
        permissions: permissions.to_vec(),
        requests_per_minute: None,
        origin: Origin::with("token:1"),
    }
}

#[test]
fn only_a_permission_that_the_credential_has_is_granted() {
    for has in Permission::ALL {
        let principal = principal(&[has]);
        for wanted in Permission::ALL {
            match principal.grant(wanted) {
                Ok(grant) => {
                    assert_eq!(has, wanted);
                    assert_eq!(grant.principal(), &principal);
                    assert_eq!(grant.actor().as_str(), "somebody");
                }
                Err(Error::Forbidden(missing)) => {
                    assert_eq!(missing, wanted);
                    assert_ne!(has, wanted);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

#[test]
fn of_several_permissions_the_first_one_held_is_granted() {
    let wanted = [Permission::Admin, Permission::BackofficeRead];
    let reader = principal(&[Permission::AllowBalance, Permission::BackofficeRead]);
    let grant = reader.grant_any(&wanted).unwrap();
    assert!(grant.require(Permission::BackofficeRead).is_ok());
    assert!(matches!(
        grant.require(Permission::AllowBalance),
        Err(Error::Forbidden(Permission::AllowBalance))
    ));
    let none = principal(&[Permission::AllowBalance]).grant_any(&wanted);
    assert!(matches!(none, Err(Error::Forbidden(Permission::Admin))));
}

#[test]
fn asking_for_no_permission_grants_nothing() {
    let all = principal(&Permission::ALL);
    assert!(matches!(all.grant_any(&[]), Err(Error::Internal(_))));
    let grant = all.grant(Permission::Admin).unwrap();
    assert!(matches!(grant.require_any(&[]), Err(Error::Internal(_))));
}

#[test]
fn a_user_s_own_money_needs_the_permission_and_the_user() {
    let wanted = Permission::AllowBalance;
    assert_eq!(alice(wanted).require_user(wanted).unwrap(), ALICE);
    assert!(matches!(
        operator(wanted).require_user(wanted),
        Err(Error::NoUser)
    ));
    // The permission comes first.
    assert!(matches!(
        operator(Permission::Admin).require_user(wanted),
        Err(Error::Forbidden(Permission::AllowBalance))
    ));
}

#[test]
fn the_machine_s_own_operator_is_nobody_s_user() {
    let local = Principal::local_operator();
    assert_eq!(local.user, None);
    assert!(local.grant(Permission::Admin).is_ok());
    assert!(local.grant(Permission::AllowTransfer).is_err());
}

#[test]
fn a_users_credential_acts_for_that_user_alone() {
    let user = Principal {
        user: Some(ALICE),
        ..principal(&Permission::ALL)
    };
    for permission in Permission::ALL {
        assert_eq!(user.grant(permission).is_ok(), permission.is_for_users());
    }
}

#[test]
fn every_credential_of_one_user_shares_its_keys_and_an_operator_has_its_own() {
    let token = Principal {
        user: Some(ALICE),
        ..principal(&[])
    };
    let access_key = Principal {
        subject: "another".to_owned(),
        ..token.clone()
    };
    assert_eq!(token.key_principal(), access_key.key_principal());
    assert_eq!(principal(&[]).key_principal(), "somebody");
}

#[test]
fn what_is_done_is_told_with_who_and_how() {
    let grant = operator(Permission::Admin);
    let expected = audited("asset.put", "asset:btc");
    assert_eq!(grant.audit("asset.put", "asset:btc"), expected);
    assert_eq!(expected.actor.as_str(), "credential-1");
    // A proxy may hide the address.
    let hidden = principal(&Permission::ALL).asking("request-1", None);
    assert_eq!(hidden.origin.request_id, "request-1");
    assert_eq!(hidden.origin.address, "unknown");
    let local = Principal::local_operator().grant(Permission::Admin);
    let local = local.unwrap().audit("asset.put", "asset:btc");
    assert_eq!(local.actor.as_str(), "local operator");
    assert_eq!(
        [local.credential, local.request_id, local.address],
        ["local", "local", "local"]
    );
}
