//! What a handler starts from: the body, whoever is calling, and what they may do.

use actix_web::{
    HttpMessage, HttpRequest,
    http::{Method, header::HeaderMap},
    web,
};
use bursar_app::{
    App, Error, FieldError, Grant, InternalCall, Options, Principal, READERS, TAKERS,
};
use bursar_domain::{AssetId, TransferId};
use bursar_ports::Permission;
use bytes::Bytes;
use uuid::Uuid;

use crate::{
    body::{self, Arriving},
    client_address::client_address,
    credentials,
    fields::{Fields, Names, SentId},
    options,
    problem::Problem,
    query::Query,
    request_id::RequestId,
    state::Shared,
};

/// Who is calling, kept with the request for the access log.
pub(crate) struct Subject(pub(crate) String);

/// A request whose credentials are good.
pub(crate) struct Call {
    shared: web::Data<Shared>,
    request: HttpRequest,
    body: Bytes,
    principal: Principal,
}

impl Call {
    /// A request without a body.
    pub(crate) async fn read(request: HttpRequest) -> Result<Self, Problem> {
        let shared = shared(&request)?;
        Self::authenticated(shared, request, Bytes::new()).await
    }

    /// A request with a JSON body.
    pub(crate) async fn write(
        request: HttpRequest,
        payload: web::Payload,
    ) -> Result<Self, Problem> {
        let shared = shared(&request)?;
        let bytes_max = shared.body_bytes_max;
        let body = body::read(&request, payload, bytes_max, shared.body_read_timeout).await?;
        Self::authenticated(shared, request, body).await
    }

    /// A request of the internal-transfer API with a JSON body that may hold many things. Where that is
    /// larger than any other may be, strangers do not get it read: who sends it is judged first.
    pub(crate) async fn write_bulk(
        request: HttpRequest,
        payload: web::Payload,
        wanted: InternalCall,
    ) -> Result<Self, Problem> {
        let shared = shared(&request)?;
        let bytes_max = shared.bulk_body_bytes_max;
        let mut body = Arriving::new(payload, bytes_max, shared.body_read_timeout);
        let others_max = shared.body_bytes_max;
        let foreseen = if body.is_larger_than(others_max, request.headers()).await? {
            credentials::foresee(shared.app(), &request).await?
        } else {
            None
        };
        if let Some(principal) = foreseen {
            let mut call = Self::of(shared, request, Bytes::new(), principal)?;
            call.permit(wanted).await?;
            call.body = body.whole(call.headers()).await?;
            return Ok(call);
        }
        let body = body.whole(request.headers()).await?;
        Self::authenticated(shared, request, body).await
    }

    async fn authenticated(
        shared: web::Data<Shared>,
        request: HttpRequest,
        body: Bytes,
    ) -> Result<Self, Problem> {
        let principal = credentials::authenticate(shared.app(), &request, &body).await?;
        Self::of(shared, request, body, principal)
    }

    fn of(
        shared: web::Data<Shared>,
        request: HttpRequest,
        body: Bytes,
        principal: Principal,
    ) -> Result<Self, Problem> {
        let id = request_id(&request)?;
        let principal = principal.asking(id.as_str(), client_address(&request));
        request
            .extensions_mut()
            .insert(Subject(principal.subject.clone()));
        Ok(Self {
            shared,
            request,
            body,
            principal,
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    pub(crate) fn app(&self) -> &App {
        self.shared.app()
    }

    /// The permission, if the caller has it.
    pub(crate) fn grant(&self, permission: Permission) -> Result<Grant, Problem> {
        Ok(self.principal.grant(permission)?)
    }

    /// The permission to read what operators read.
    pub(crate) fn grant_reader(&self) -> Result<Grant, Problem> {
        Ok(self.principal.grant_any(&READERS)?)
    }

    /// The permission to take what waits for an operator: whatever may be done with it.
    pub(crate) fn grant_taker(&self) -> Result<Grant, Problem> {
        Ok(self.principal.grant_any(&TAKERS)?)
    }

    /// A user's permission: a credential without a user is refused before anything else about the
    /// request is looked at.
    pub(crate) fn grant_user(&self, permission: Permission) -> Result<Grant, Problem> {
        let grant = self.grant(permission)?;
        match grant.principal().user {
            Some(_) => Ok(grant),
            None => Err(Error::NoUser.into()),
        }
    }

    /// A user's permission for a call of the internal-transfer API. How the caller stands is shown on a
    /// refusal.
    async fn permit(&self, call: InternalCall) -> Result<Grant, Problem> {
        match self.grant_user(Permission::AllowTransfer) {
            Ok(grant) => Ok(grant),
            Err(refusal) => {
                let standing = self.app().standing(&self.principal, call).await?;
                self.request.extensions_mut().insert(standing);
                Err(refusal)
            }
        }
    }

    /// The same, unless it was made too often. How the caller stands is shown on whatever is answered,
    /// also on refusals.
    pub(crate) async fn admit(&self, call: InternalCall, units: u32) -> Result<Grant, Problem> {
        let grant = self.permit(call).await?;
        let admission = self.app().admit(&grant, call, units).await?;
        self.request.extensions_mut().insert(admission.standing);
        admission.require()?;
        Ok(grant)
    }

    pub(crate) fn fields(&self, names: Names) -> Result<Fields<'_>, Problem> {
        self.fields_of(&self.body, names)
    }

    /// The same for a body that may be missing as a whole.
    pub(crate) fn optional_fields(&self, names: Names) -> Result<Fields<'_>, Problem> {
        let nothing = self.body.iter().all(u8::is_ascii_whitespace);
        self.fields_of(if nothing { b"{}" } else { &self.body }, names)
    }

    fn fields_of<'a>(&self, body: &'a [u8], names: Names) -> Result<Fields<'a>, Problem> {
        let mut fields = Fields::parse(body, names)?;
        if names == Names::Strict {
            // What has a body has no parameters.
            fields.also_wrong(self.query(names)?.into_unknown());
        }
        Ok(fields)
    }

    /// Refuses whatever is asked for beside what the path says: a parameter that does nothing is a slip.
    pub(crate) fn without_parameters(&self) -> Result<(), Problem> {
        self.query(Names::Strict)?.finish(Some(()))
    }

    /// What the path says where that is all there is to say: a parameter or a field beside it is told
    /// together with what is wrong with the path.
    pub(crate) fn only<T>(&self, said: Result<T, FieldError>) -> Result<T, Problem> {
        let mut fields = self.optional_fields(Names::Strict)?;
        let said = fields.also(said);
        fields.finish(said)
    }

    pub(crate) fn query(&self, names: Names) -> Result<Query, Problem> {
        Query::parse(self.request.query_string(), names)
    }

    /// `Idempotency-Key` and `Prefer`; what is wrong with them is told with the fields.
    pub(crate) fn options(&self, fields: &mut Fields<'_>) -> Option<Options> {
        fields.also(options::read(self.request.headers()))
    }

    /// The id of the request, for problems inside of an answer.
    pub(crate) fn request_id(&self) -> Result<RequestId, Problem> {
        request_id(&self.request)
    }

    /// Whether only the head of the answer is wanted.
    pub(crate) fn is_head(&self) -> bool {
        self.request.method() == Method::HEAD
    }

    /// A part of the path.
    pub(crate) fn segment(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    /// The asset in the path.
    pub(crate) fn asset_id(&self) -> Result<AssetId, FieldError> {
        AssetId::parse(self.segment("asset"))
            .map_err(|error| FieldError::new("asset", "asset.invalid", error.to_string()))
    }

    /// The GUID in the path.
    pub(crate) fn guid(&self) -> Result<Uuid, FieldError> {
        Uuid::parse_str(self.segment("id"))
            .map_err(|_| FieldError::new("id", "id.invalid", "must be a GUID"))
    }

    /// The numeric id in the path; none when it is too large to name any transfer.
    pub(crate) fn transfer_id(&self) -> Result<Option<TransferId>, FieldError> {
        SentId::parse(self.segment("id"))
            .map(|sent| sent.0)
            .ok_or_else(|| FieldError::new("id", "id.invalid", "must be a positive integer"))
    }
}

/// The id that was given to the request before anything else.
fn request_id(request: &HttpRequest) -> Result<RequestId, Problem> {
    let id = request.extensions().get::<RequestId>().cloned();
    id.ok_or_else(Problem::internal)
}

/// The state that `routes` put there.
pub(crate) fn shared(request: &HttpRequest) -> Result<web::Data<Shared>, Problem> {
    request
        .app_data::<web::Data<Shared>>()
        .cloned()
        .ok_or_else(Problem::internal)
}
