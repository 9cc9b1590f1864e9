//! An empty database becomes a ledger of users with money.

use cala_ledger::{
    AccountId, CalaLedger, DebitOrCredit, JournalId, VelocityControlId, VelocityLimitId,
    account::NewAccount,
    journal::NewJournal,
    tx_template::{
        NewParamDefinition, NewTxTemplate, NewTxTemplateEntry, NewTxTemplateTransaction,
        ParamDataType, Params, TxTemplateId,
    },
    velocity::{NewBalanceLimit, NewLimit, NewVelocityControl, NewVelocityLimit},
};
use tokio::task::JoinSet;

use crate::ledger::{self, FUNDING, GRANT, JOURNAL, Ledger, PAYMENT};

/// How many chunks are made at once.
const AT_ONCE: u32 = 4;

/// How many users are made in one transaction; cala locks at most 1,000 balances in one.
const CHUNK: usize = 500;

/// What each user has at the start: more than a benchmark can spend.
const GRANTED: i64 = 1_000_000_000_000;

/// Fills the database.
pub(crate) async fn run(url: &str, users: u32, no_overdraft: bool) -> anyhow::Result<()> {
    let cala = &Ledger::open(url, AT_ONCE, true).await?.cala;
    let journal = NewJournal::builder()
        .id(JournalId::new())
        .name(JOURNAL)
        .code(JOURNAL)
        .build();
    let journal = cala.journals().create(journal).await?.id();
    for code in [PAYMENT, GRANT] {
        cala.tx_templates().create(template(code)?).await?;
    }
    let funding = account(FUNDING.to_owned());
    let source = cala.accounts().create(funding).await?.id();
    let control = if no_overdraft {
        Some(control(cala).await?)
    } else {
        None
    };

    let users: Vec<NewAccount> = (0..users).map(ledger::user).map(account).collect();
    let mut chunks = JoinSet::new();
    for chunk in users.chunks(CHUNK) {
        while chunks.len() >= usize::try_from(AT_ONCE)? {
            chunks.join_next().await.transpose()?.transpose()?;
        }
        chunks.spawn(fill(
            cala.clone(),
            (journal, source),
            control,
            chunk.to_vec(),
        ));
    }
    while let Some(chunk) = chunks.join_next().await {
        chunk??;
    }
    sqlx::query("VACUUM ANALYZE").execute(cala.pool()).await?;
    Ok(())
}

/// Makes these users, and gives them money.
async fn fill(
    cala: CalaLedger,
    (journal, source): (JournalId, AccountId),
    control: Option<VelocityControlId>,
    users: Vec<NewAccount>,
) -> anyhow::Result<()> {
    let ids: Vec<AccountId> = users.iter().map(|user| user.id).collect();
    cala.accounts().create_all(users).await?;
    if let Some(control) = control {
        let mut op = cala.begin_operation().await?;
        cala.velocities()
            .attach_control_to_accounts_in_op(&mut op, control, &ids, Params::new())
            .await?;
        op.commit().await?;
    }
    let grants = ids
        .into_iter()
        .map(|id| ledger::posting(GRANT, journal, (source, id), GRANTED));
    cala.post_transactions(grants.collect()).await?;
    Ok(())
}

fn account(code: String) -> NewAccount {
    NewAccount::builder()
        .id(AccountId::new())
        .name(code.clone())
        .code(code)
        .normal_balance_type(DebitOrCredit::Credit)
        .build()
}

/// A template that moves an amount from one account to another.
fn template(code: &str) -> anyhow::Result<NewTxTemplate> {
    let params = [
        ("journal", ParamDataType::Uuid),
        ("sender", ParamDataType::Uuid),
        ("recipient", ParamDataType::Uuid),
        ("amount", ParamDataType::Decimal),
        ("currency", ParamDataType::String),
    ];
    let params = params.into_iter().map(|(name, kind)| {
        NewParamDefinition::builder()
            .name(name)
            .r#type(kind)
            .build()
    });
    let entry = |kind: &str, account: &str, direction: &str| {
        NewTxTemplateEntry::builder()
            .entry_type(kind)
            .account_id(account)
            .layer("SETTLED")
            .direction(direction)
            .units("params.amount")
            .currency("params.currency")
            .build()
    };
    let transaction = NewTxTemplateTransaction::builder()
        .effective("date()")
        .journal_id("params.journal")
        .build()?;
    Ok(NewTxTemplate::builder()
        .id(TxTemplateId::new())
        .code(code)
        .params(params.collect::<Result<_, _>>()?)
        .transaction(transaction)
        .entries(vec![
            entry("'SENT'", "params.sender", "DEBIT")?,
            entry("'RECEIVED'", "params.recipient", "CREDIT")?,
        ])
        .build())
}

/// A control whose accounts are never debited more than they are credited.
async fn control(cala: &CalaLedger) -> anyhow::Result<VelocityControlId> {
    let balance = NewBalanceLimit::builder()
        .layer("SETTLED")
        .amount("decimal('0')")
        .enforcement_direction("DEBIT")
        .always_active()
        .build()?;
    let limit = NewVelocityLimit::builder()
        .id(VelocityLimitId::new())
        .name("no overdraft")
        .description("No more is spent than was received.")
        .window(vec![])
        .limit(NewLimit::builder().balance(vec![balance]).build()?)
        .params(vec![])
        .build()?;
    let control = NewVelocityControl::builder()
        .id(VelocityControlId::new())
        .name("no overdraft")
        .description("No more is spent than was received.")
        .build()?;
    let velocities = cala.velocities();
    let limit = velocities.create_limit(limit).await?.id();
    let control = velocities.create_control(control).await?.id();
    velocities.add_limit_to_control(control, limit).await?;
    Ok(control)
}
