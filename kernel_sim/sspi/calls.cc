#include "kernel_sim/sspi/calls.h"

#include <memory>
#include <new>
#include <utility>

#include "kernel_sim/executive/executive.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/handles.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/objects.h"
#include "kernel_sim/sspi/packages/buffers.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::sspi {
namespace {

using executive::Lane;
using executive::Object;
using executive::Reference;
using executive::Request;
using executive::RunResult;

RunResult Finish(Request& request, SECURITY_STATUS status) {
  request.set_status(status);
  return RunResult::kCompleted;
}

// The reference as the base class that a request keeps.
Reference<Object> KeepAlive(Reference<ContextObject> context) {
  return Reference<Object>(context.Detach());
}

// Runs a call on a processor: running out of memory in it is a status, like everything else.
template <RunResult (*run)(Request&)>
RunResult Guarded(Request& request) {
  RunResult result = RunResult::kCompleted;
  const SECURITY_STATUS thrown = NothingThrown([&] {
    result = run(request);
    return SEC_E_OK;
  });
  return thrown == SEC_E_OK ? result : Finish(request, thrown);
}

// Fills `request` with a call that takes its turn on the strand of `context`. The payload,
// Call{*context, arguments...}, borrows the context: the request keeps it for longer than that.
template <typename Call, RunResult (*run)(Request&), typename... Arguments>
SECURITY_STATUS PrepareOnStrand(Request& request, Reference<ContextObject> context,
                                Arguments... arguments) {
  if (!context) return SEC_E_INVALID_HANDLE;
  executive::Strand* strand = &context->strand();
  request.EmplacePayload<Call>(Call{*context, arguments...});
  request.Prepare(Lane::kRecord, &Guarded<run>, strand, KeepAlive(std::move(context)));
  return SEC_E_OK;
}

RunResult RunAcquire(Request& request) {
  const SECURITY_STATUS status = AcquireNow(request.payload<AcquireParameters>());
  ForgetReason();  // the reason was noted on the processor's thread, whose call this is not
  return Finish(request, status);
}

struct LegCall {
  LegCall() = default;
  LegCall(const LegCall&) = delete;
  LegCall& operator=(const LegCall&) = delete;
  ~LegCall() {
    // A first leg that was refused or failed: no caller has the handle, so it is deleted here.
    if (owns_handle) CloseContext(&handle);
  }

  ContextObject* context = nullptr;  // kept by the request
  Reference<CredentialObject> credential;
  SecHandle handle{};
  bool owns_handle = false;
  LegParameters parameters;
};

// Statuses after which the handle of a first leg exists: the call can or must be continued.
bool LeavesContext(SECURITY_STATUS status) {
  return (status >= 0) || status == SEC_E_BUFFER_TOO_SMALL || status == SEC_E_EXT_BUFFER_TOO_SMALL;
}

RunResult RunLeg(Request& request) {
  auto& call = *request.payload<std::unique_ptr<LegCall>>();
  LegParameters& parameters = call.parameters;
  LegArguments arguments;
  arguments.credential = call.credential ? &call.credential->credential() : nullptr;
  arguments.target_name = parameters.target_name;
  arguments.flags = parameters.flags;
  arguments.input = parameters.input;
  arguments.output = parameters.output;
  arguments.request = &request;
  const LegResult result = call.context->Leg(arguments);
  if (result.suspended) return RunResult::kSuspended;
  if (result.established) Runtime::Instance().ExecutiveInFlight().MoveHome(request);
  if (LeavesContext(result.status)) {
    if (parameters.new_context != nullptr) *parameters.new_context = call.handle;
    call.owns_handle = false;
  }
  if (result.status >= 0) {
    parameters.attributes.Store(result.attributes);
    if (parameters.expiry != nullptr) parameters.expiry->QuadPart = result.expiry;
  } else if ((result.attributes & ISC_RET_ALLOCATED_MEMORY) != 0) {
    // The one bit that counts on every return: there is an alert to send, in memory to release.
    parameters.attributes.Store(ISC_RET_ALLOCATED_MEMORY);
  }
  request.set_reason(result.reason);
  return Finish(request, result.status);
}

struct DeleteCall {
  ContextObject& context;
};

RunResult RunDelete(Request& request) {
  request.payload<DeleteCall>().context.Teardown();
  return Finish(request, SEC_E_OK);
}

struct CredentialCall {
  Reference<CredentialObject> credential;
};

RunResult RunFreeCredentials(Request& request) {
  // The payload's reference, dropped before the status is published, is what frees it.
  return Finish(request, SEC_E_OK);
}

struct RecordCall {
  ContextObject& context;
  PSecBufferDesc message;
  ULONG sequence;
  ULONG qop;
  KtlsimUlongOut qop_out;
};

RunResult RunEncrypt(Request& request) {
  auto& call = request.payload<RecordCall>();
  return Finish(request,
                call.context.ClaimSealing()->Encrypt(call.qop, *call.message, call.sequence));
}

RunResult RunDecrypt(Request& request) {
  auto& call = request.payload<RecordCall>();
  ULONG qop = 0;
  const SECURITY_STATUS status =
      call.context.ClaimOpening()->Decrypt(*call.message, call.sequence, &qop);
  if (status >= 0) call.qop_out.Store(qop);
  return Finish(request, status);
}

struct ControlCall {
  ContextObject& context;
  PSecBufferDesc token;
  ControlKind kind;
};

RunResult RunControl(Request& request) {
  auto& call = request.payload<ControlCall>();
  const SECURITY_STATUS status = call.kind == ControlKind::kApplyControlToken
                                     ? call.context.ApplyControlToken(*call.token)
                                     : call.context.CompleteAuthToken(*call.token);
  return Finish(request, status);
}

// A first leg makes its context here, so that the strand exists before anything is queued.
SECURITY_STATUS CreateContext(const Reference<CredentialObject>& credential, Direction direction,
                              SecHandle* handle, Reference<ContextObject>* result) {
  std::unique_ptr<PackageContext> package_context;
  const SECURITY_STATUS status =
      credential->package().CreateContext(credential->credential(), &package_context);
  if (status != SEC_E_OK) return status;
  std::unique_ptr<Object> object(
      new (std::nothrow) ContextObject(credential, direction, std::move(package_context)));
  if (object == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  const executive::ObjectTable::Handle inserted =
      Runtime::Instance().security_contexts().Insert(object);
  if (inserted == 0) return SEC_E_INSUFFICIENT_MEMORY;
  *handle = MakeContextHandle(inserted);
  *result = LookupContext(handle);
  return SEC_E_OK;
}

}  // namespace

SECURITY_STATUS AcquireNow(const AcquireParameters& parameters) {
  Runtime& runtime = Runtime::Instance();
  Package* package = runtime.FindPackage(parameters.package);
  if (package == nullptr) return SEC_E_SECPKG_NOT_FOUND;
  const bool inbound = parameters.use == SECPKG_CRED_INBOUND;
  // SECPKG_CRED_BOTH is not usable for TLS; 0 names no direction.
  if (!inbound && parameters.use != SECPKG_CRED_OUTBOUND) return SEC_E_NO_CREDENTIALS;
  AcquireArguments arguments;
  arguments.direction = inbound ? Direction::kInbound : Direction::kOutbound;
  arguments.principal = parameters.principal;
  arguments.auth_data = parameters.auth_data;
  std::unique_ptr<PackageCredential> credential;
  const SECURITY_STATUS status = package->Acquire(arguments, &credential);
  if (status != SEC_E_OK) return status;
  if (parameters.credential == nullptr) return SEC_E_INVALID_PARAMETER;
  const std::int64_t expiry = credential->expiry();
  std::unique_ptr<Object> object(new (std::nothrow)
                                     CredentialObject(*package, std::move(credential)));
  if (object == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  const executive::ObjectTable::Handle handle = runtime.credentials().Insert(object);
  if (handle == 0) return SEC_E_INSUFFICIENT_MEMORY;
  *parameters.credential = MakeCredentialHandle(handle);
  if (parameters.expiry != nullptr) parameters.expiry->QuadPart = expiry;
  return SEC_E_OK;
}

SECURITY_STATUS PrepareAcquire(Request& request, AcquireParameters parameters) {
  if (parameters.credential == nullptr) return SEC_E_INVALID_PARAMETER;
  request.EmplacePayload<AcquireParameters>(std::move(parameters));
  request.Prepare(Lane::kHandshake, &Guarded<RunAcquire>, nullptr, {});
  return SEC_E_OK;
}

SECURITY_STATUS PrepareLeg(Request& request, LegParameters parameters) {
  if (TooManyBuffers(parameters.input) || TooManyBuffers(parameters.output)) {
    return SEC_E_INVALID_PARAMETER;
  }
  std::unique_ptr<LegCall> call(new (std::nothrow) LegCall());
  if (call == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  Reference<ContextObject> context;
  if (parameters.credential != nullptr) {
    call->credential = LookupCredential(parameters.credential);
    if (!call->credential || call->credential->credential().direction() != parameters.direction) {
      return SEC_E_INVALID_HANDLE;
    }
  }
  if (parameters.context == nullptr) {
    if (!call->credential) return SEC_E_INVALID_HANDLE;
    if (parameters.new_context == nullptr) return SEC_E_INVALID_PARAMETER;
    const SECURITY_STATUS status =
        CreateContext(call->credential, parameters.direction, &call->handle, &context);
    if (status != SEC_E_OK) return status;
    call->owns_handle = true;
  } else {
    // By value: phNewContext may be the same variable.
    call->handle = *parameters.context;
    context = LookupContext(&call->handle);
    if (!context || context->direction() != parameters.direction) {
      return SEC_E_INVALID_HANDLE;
    }
  }
  call->context = context.get();
  call->parameters = std::move(parameters);
  executive::Strand* strand = &context->strand();
  request.EmplacePayload<std::unique_ptr<LegCall>>(std::move(call));
  request.Prepare(Lane::kHandshake, &Guarded<RunLeg>, strand, KeepAlive(std::move(context)));
  return SEC_E_OK;
}

SECURITY_STATUS PrepareDelete(Request& request, const SecHandle* context) {
  const SECURITY_STATUS status =
      PrepareOnStrand<DeleteCall, RunDelete>(request, CloseContext(context));
  if (status == SEC_E_OK) request.set_ends_object();
  return status;
}

SECURITY_STATUS PrepareFreeCredentials(Request& request, const SecHandle* credential) {
  Reference<CredentialObject> object = CloseCredential(credential);
  if (!object) return SEC_E_INVALID_HANDLE;
  request.EmplacePayload<CredentialCall>(std::move(object));
  request.Prepare(Lane::kRecord, &Guarded<RunFreeCredentials>, nullptr, {});
  return SEC_E_OK;
}

SECURITY_STATUS PrepareEncrypt(Request& request, const SecHandle* context, ULONG qop,
                               PSecBufferDesc message, ULONG sequence) {
  if (message == nullptr || TooManyBuffers(message)) return SEC_E_INVALID_PARAMETER;
  return PrepareOnStrand<RecordCall, RunEncrypt>(request, LookupContext(context), message, sequence,
                                                 qop, KtlsimUlongOut(nullptr));
}

SECURITY_STATUS PrepareDecrypt(Request& request, const SecHandle* context, PSecBufferDesc message,
                               ULONG sequence, KtlsimUlongOut qop) {
  if (message == nullptr || TooManyBuffers(message)) return SEC_E_INVALID_PARAMETER;
  return PrepareOnStrand<RecordCall, RunDecrypt>(request, LookupContext(context), message, sequence,
                                                 ULONG{0}, qop);
}

SECURITY_STATUS PrepareControl(Request& request, const SecHandle* context, ControlKind kind,
                               PSecBufferDesc token) {
  if (TooManyBuffers(token)) return SEC_E_INVALID_PARAMETER;
  return PrepareOnStrand<ControlCall, RunControl>(request, LookupContext(context), token, kind);
}

}  // namespace ktlsim::sspi
