//! The tables as diesel sees them. A test compares them with a freshly migrated database.

diesel::table! {
    directory.users (id) {
        id -> Uuid,
        username -> Text,
        username_fold -> Text,
        email -> Text,
        email_fold -> Text,
        roles -> Array<Text>,
        status -> Text,
        updated_at -> Timestamptz,
        status_revision -> BigInt,
    }
}

diesel::table! {
    directory.asset_books (asset) {
        asset -> Text,
        book -> Text,
    }
}

diesel::table! {
    directory.asset_rates (asset) {
        asset -> Text,
        rate -> Numeric,
        updated_at -> Timestamptz,
        source -> Text,
    }
}

diesel::table! {
    directory.tokens (id) {
        id -> Uuid,
        hash -> Bytea,
        subject -> Text,
        user_id -> Nullable<Uuid>,
        permissions -> Array<Text>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    directory.access_keys (access_key) {
        access_key -> Text,
        user_id -> Uuid,
        permissions -> Array<Text>,
        secret_key_id -> Text,
        secret -> Bytea,
        allowed_ips -> Array<Text>,
        requests_per_minute -> Nullable<Integer>,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    directory.callback_secrets (id) {
        id -> Uuid,
        subscriber -> Text,
        secret_key_id -> Text,
        secret -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    directory.operators (name) {
        name -> Text,
        password_hash -> Text,
        totp_key_id -> Text,
        totp_secret -> Bytea,
        totp_step -> Nullable<BigInt>,
        permissions -> Array<Text>,
        status -> Text,
        revision -> BigInt,
        failures -> Integer,
        next_try_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    directory.operator_sessions (id) {
        id -> Uuid,
        token_hash -> Bytea,
        operator -> Text,
        created_at -> Timestamptz,
        last_seen_at -> Timestamptz,
        expires_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        address -> Text,
        user_agent -> Text,
    }
}

diesel::table! {
    directory.operator_identities (issuer, subject) {
        issuer -> Text,
        subject -> Text,
        operator -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    directory.address_book (user_id, code) {
        user_id -> Uuid,
        code -> Text,
        recipient -> Text,
        label -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    #[sql_name = "audit_log"]
    directory.directory_audit_log (at, id) {
        id -> Uuid,
        at -> Timestamptz,
        actor -> Text,
        credential -> Text,
        request_id -> Text,
        address -> Text,
        action -> Text,
        target -> Text,
        before -> Nullable<Json>,
        after -> Nullable<Json>,
    }
}

diesel::table! {
    book_main.assets (id) {
        id -> Text,
        name -> Text,
        scale -> SmallInt,
        can_deposit -> Bool,
        can_withdraw -> Bool,
        can_transfer -> Bool,
    }
}

diesel::table! {
    book_main.owners (id) {
        id -> Uuid,
        status -> Text,
        revision -> BigInt,
    }
}

diesel::table! {
    book_main.accounts (id) {
        id -> BigInt,
        owner_kind -> Text,
        owner -> Uuid,
        asset -> Text,
        available -> Numeric,
        held -> Numeric,
        seq -> BigInt,
        status -> Text,
        stamped_at -> Timestamptz,
        head -> Nullable<Bytea>,
        withdrawal_uses -> Nullable<Bytea>,
        internal_uses -> Nullable<Bytea>,
    }
}

diesel::table! {
    book_main.transfers (id) {
        id -> BigInt,
        version -> Integer,
        kind -> Text,
        state -> Text,
        asset -> Text,
        scale -> SmallInt,
        amount -> Numeric,
        fee -> Numeric,
        user_id -> Uuid,
        recipient_id -> Nullable<Uuid>,
        recipient_typed -> Nullable<Text>,
        code_salt -> Nullable<Bytea>,
        custom_id -> Nullable<Text>,
        note -> Nullable<Text>,
        callback_url -> Nullable<Text>,
        reason -> Nullable<Text>,
        created_by -> Text,
        finished_by -> Nullable<Text>,
        root_asset -> Nullable<Text>,
        root_scale -> Nullable<SmallInt>,
        root_rate -> Nullable<Numeric>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        entry_refs -> Array<BigInt>,
        stage -> Nullable<Text>,
        expires_at -> Nullable<Timestamptz>,
        confirmed_by -> Nullable<Text>,
        confirm_url -> Nullable<Text>,
        reviewed_by -> Nullable<Text>,
        review_digest -> Nullable<Bytea>,
        reverses -> Nullable<BigInt>,
        reversal_covers -> Nullable<Numeric>,
        reversal_fee -> Nullable<Numeric>,
        reversed -> Numeric,
        root_source -> Nullable<Text>,
        root_rated_at -> Nullable<Timestamptz>,
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    book_main.writers (name) {
        name -> Text,
        holder -> Nullable<Uuid>,
        epoch -> BigInt,
        batch -> BigInt,
    }
}

diesel::table! {
    book_main.rule_sets (name) {
        name -> Text,
        revision -> BigInt,
    }
}

diesel::table! {
    book_main.fee_schedules (kind, asset) {
        kind -> Text,
        asset -> Text,
        percent -> BigInt,
        min -> Numeric,
        max -> Nullable<Numeric>,
        absolute -> Numeric,
    }
}

diesel::table! {
    book_main.limits (kind, asset) {
        kind -> Text,
        asset -> Text,
        min_amount -> Nullable<Numeric>,
        max_amount -> Nullable<Numeric>,
        daily -> Nullable<Numeric>,
        monthly -> Nullable<Numeric>,
        approval_above -> Nullable<Numeric>,
        epoch -> Integer,
        root_asset -> Nullable<Text>,
        root_scale -> Nullable<SmallInt>,
    }
}

diesel::table! {
    book_main.root_uses (user_id, kind) {
        user_id -> Uuid,
        kind -> Text,
        uses -> Nullable<Bytea>,
    }
}

diesel::table! {
    book_main.stops (name, asset) {
        name -> Text,
        asset -> Text,
        reason -> Text,
        stopped_by -> Text,
        stopped_at -> Timestamptz,
    }
}

diesel::table! {
    book_main.entries (account_id, seq) {
        account_id -> BigInt,
        seq -> BigInt,
        transfer_id -> BigInt,
        available_delta -> Numeric,
        held_delta -> Numeric,
        available_after -> Numeric,
        held_after -> Numeric,
        created_at -> Timestamptz,
        seal -> Nullable<Bytea>,
    }
}

diesel::table! {
    book_main.idempotency_keys (principal, operation, key) {
        principal -> Text,
        operation -> Text,
        key -> Text,
        fingerprint -> Bytea,
        fields -> Jsonb,
        transfer_id -> BigInt,
        refusal -> Nullable<Text>,
        results -> Nullable<Json>,
    }
}

diesel::table! {
    book_main.callbacks (id) {
        id -> Uuid,
        transfer_id -> BigInt,
        operation -> Text,
        url -> Text,
        url_digest -> Bytea,
        status -> Text,
        error -> Nullable<Text>,
        state -> Text,
        attempts -> Integer,
        created_at -> Timestamptz,
        next_attempt_at -> Nullable<Timestamptz>,
        lease -> Nullable<Uuid>,
        subscriber -> Text,
        host -> Text,
        is_final -> Bool,
        queued -> Bool,
        attempts_before_replay -> Integer,
        replayed_at -> Nullable<Timestamptz>,
        made_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    book_main.callback_attempts (callback_id, attempt) {
        callback_id -> Uuid,
        attempt -> Integer,
        at -> Timestamptz,
        duration_ms -> BigInt,
        http_status -> Nullable<Integer>,
        outcome -> Text,
    }
}

diesel::table! {
    #[sql_name = "audit_log"]
    book_main.book_audit_log (at, id) {
        id -> Uuid,
        at -> Timestamptz,
        actor -> Text,
        credential -> Text,
        request_id -> Text,
        address -> Text,
        action -> Text,
        target -> Text,
        before -> Nullable<Json>,
        after -> Nullable<Json>,
    }
}

diesel::table! {
    book_main.journal (id) {
        id -> Uuid,
        topic -> Text,
        locked_at -> Timestamptz,
        transfer_ids -> Array<BigInt>,
        versions -> Array<Integer>,
        states -> Array<Text>,
        ats -> Array<Timestamptz>,
        payload -> Nullable<Jsonb>,
        count -> Integer,
        first_number -> Nullable<BigInt>,
    }
}

diesel::table! {
    book_main.journal_queue (locked_at, id) {
        locked_at -> Timestamptz,
        id -> Uuid,
    }
}

diesel::table! {
    book_main.sequencers (name) {
        name -> Text,
        next_number -> BigInt,
    }
}

diesel::table! {
    book_main.payouts (transfer_id) {
        transfer_id -> BigInt,
        began_at -> Timestamptz,
        attempts -> Integer,
        next_attempt_at -> Timestamptz,
        lease -> Nullable<Uuid>,
        outcome -> Nullable<Text>,
    }
}

diesel::table! {
    book_main.takings (transfer_id) {
        transfer_id -> BigInt,
        version -> Integer,
        taken_by -> Text,
        taken_at -> Timestamptz,
        ends_at -> Timestamptz,
    }
}

diesel::table! {
    book_main.hourly_volumes (hour, asset, kind) {
        hour -> Timestamptz,
        asset -> Text,
        kind -> Text,
        count -> BigInt,
        amount -> Numeric,
    }
}

diesel::allow_tables_to_appear_in_same_query!(operators, operator_sessions, operator_identities);
diesel::allow_tables_to_appear_in_same_query!(accounts, entries);
diesel::allow_tables_to_appear_in_same_query!(transfers, callbacks);
diesel::allow_tables_to_appear_in_same_query!(journal, journal_queue, sequencers);
