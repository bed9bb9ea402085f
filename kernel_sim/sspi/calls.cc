#include "kernel_sim/sspi/calls.h"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/executive/executive.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/client_mapping.h"
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

constexpr std::uint32_t kSuspensionMsMax = 30000;

RunResult Finish(Request& request, SECURITY_STATUS status) {
  request.set_status(status);
  return RunResult::kCompleted;
}

// The package waits. It may not once its time is over, or the call might never end.
RunResult Suspend(Request& request, std::uint32_t limit_ms) {
  if (request.cause() == CallRun::kTimedOut) return Finish(request, SEC_E_INTERNAL_ERROR);
  if (request.cause() == CallRun::kStopping) return Finish(request, SEC_E_SHUTDOWN_IN_PROGRESS);
  if (limit_ms != 0) {
    Runtime::Instance().ExecutiveInFlight().LimitSuspension(
        request, std::min(limit_ms, kSuspensionMsMax) * kNsPerMs);
  }
  return RunResult::kSuspended;
}

// The package waits, or has ended the call.
RunResult FinishOrSuspend(Request& request, const CallResult& result) {
  if (result.suspended) return Suspend(request, result.limit_ms);
  request.set_reason(result.reason);
  return Finish(request, result.status);
}

// A call that may suspend, in the state that it had when its last run ended.
PackageCall CallOf(Request& request, std::unique_ptr<PackageCallState>& state) {
  return {.request = request, .run = request.cause(), .state = state};
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

// The credential's handle, for the caller.
SECURITY_STATUS StoreCredential(Package& package, std::unique_ptr<PackageCredential> credential,
                                const AcquireParameters& parameters) {
  if (parameters.credential == nullptr) return SEC_E_INVALID_PARAMETER;
  const std::int64_t expiry = credential->expiry();
  std::unique_ptr<Object> object(new (std::nothrow)
                                     CredentialObject(package, std::move(credential)));
  if (object == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  const executive::ObjectTable::Handle handle = Runtime::Instance().credentials().Insert(object);
  if (handle == 0) return SEC_E_INSUFFICIENT_MEMORY;
  *parameters.credential = MakeCredentialHandle(handle);
  if (parameters.expiry != nullptr) parameters.expiry->QuadPart = expiry;
  return SEC_E_OK;
}

// `call`: null on the caller's thread.
CallResult Acquire(const AcquireParameters& parameters, PackageCall* call) {
  Package* package = Runtime::Instance().FindPackage(parameters.package);
  if (package == nullptr) return CallResult::Done(SEC_E_SECPKG_NOT_FOUND);
  const bool inbound = parameters.use == SECPKG_CRED_INBOUND;
  // SECPKG_CRED_BOTH is not usable for TLS; 0 names no direction.
  if (!inbound && parameters.use != SECPKG_CRED_OUTBOUND) {
    return CallResult::Done(SEC_E_NO_CREDENTIALS);
  }
  AcquireArguments arguments;
  arguments.direction = inbound ? Direction::kInbound : Direction::kOutbound;
  arguments.principal = parameters.principal;
  arguments.auth_data = parameters.auth_data;
  if (!package->AcquireMayWait()) call = nullptr;
  std::unique_ptr<PackageCredential> credential;
  const CallResult result = package->Acquire(arguments, call, &credential);
  if (result.suspended && call == nullptr) return CallResult::Done(SEC_E_INTERNAL_ERROR);
  if (result.suspended || result.status != SEC_E_OK) return result;
  return CallResult::Done(StoreCredential(*package, std::move(credential), parameters));
}

struct AcquireCall {
  AcquireParameters parameters;
  std::unique_ptr<PackageCallState> state{};
};

RunResult RunAcquire(Request& request) {
  auto& acquire = request.payload<AcquireCall>();
  PackageCall call = CallOf(request, acquire.state);
  const CallResult result = Acquire(acquire.parameters, &call);
  ForgetReason();  // what was noted on the processor's thread, whose call this is not
  return FinishOrSuspend(request, result);
}

struct LegCall {
  // Where the leg runs. `kOnItsWay`: it waits for its turn on the context that its package has
  // found. `kOwnAgain`: that one was dead.
  enum class Place : std::uint8_t { kOwn, kOnItsWay, kFound, kOwnAgain };

  LegCall() = default;
  LegCall(const LegCall&) = delete;
  LegCall& operator=(const LegCall&) = delete;
  ~LegCall() {
    state.reset();  // it may know the contexts
    // A first leg that was refused or failed, or has continued on another context: no caller has
    // the handle, so it is deleted here.
    if (owns_handle) CloseContext(&handle);
  }

  ContextObject* context = nullptr;  // on which it runs; kept by the request
  Reference<CredentialObject> credential;
  SecHandle handle{};  // of its own context
  bool owns_handle = false;
  Place place = Place::kOwn;
  SecHandle found{};             // unless it is kOwn
  ContextObject* own = nullptr;  // likewise
  Reference<Object> left;        // the context that it ran on before it moved
  LegParameters parameters;
  std::unique_ptr<PackageCallState> state;
  ClientMapping mapping;
  LegResult ended;  // while the mapping is under way
};

// Statuses after which the handle of a first leg exists: the call can or must be continued.
bool LeavesContext(SECURITY_STATUS status) {
  return (status >= 0) || status == SEC_E_BUFFER_TOO_SMALL || status == SEC_E_EXT_BUFFER_TOO_SMALL;
}

LegResult RunOnContext(Request& request, LegCall& leg) {
  const LegParameters& parameters = leg.parameters;
  PackageCall call = CallOf(request, leg.state);
  LegArguments arguments;
  arguments.credential = leg.credential ? &leg.credential->credential() : nullptr;
  arguments.target_name = parameters.target_name;
  arguments.flags = parameters.flags;
  arguments.input = parameters.input;
  arguments.output = parameters.output;
  arguments.continued = leg.place == LegCall::Place::kFound;
  arguments.found_dead = leg.place == LegCall::Place::kOwnAgain;
  arguments.own_handle = arguments.continued ? leg.found : leg.handle;
  arguments.call = &call;
  return leg.context->Leg(arguments);
}

RunResult FinishLeg(Request& request, LegCall& leg, const LegResult& result) {
  LegParameters& parameters = leg.parameters;
  if (result.established) Runtime::Instance().ExecutiveInFlight().MoveHome(request);
  if (LeavesContext(result.status)) {
    const bool found = leg.place == LegCall::Place::kFound;
    if (parameters.new_context != nullptr) {
      *parameters.new_context = found ? leg.found : leg.handle;
    }
    if (!found) leg.owns_handle = false;
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

security::ImpersonationLevel LevelAskedFor(const LegCall& leg) {
  return (leg.parameters.flags & ASC_REQ_IDENTIFY) != 0
             ? security::ImpersonationLevel::kIdentification
             : security::ImpersonationLevel::kImpersonation;
}

// The leg's own end, now that it is known whether its client has a token.
RunResult FinishMappedLeg(Request& request, LegCall& leg, LegResult result) {
  security::Token::Ref token;
  if (leg.context->ClientToken(&token) == SEC_E_OK) {
    result.attributes |= result.mapped_attributes;
    if (token->state()->level() <= security::ImpersonationLevel::kIdentification) {
      result.attributes |= leg.parameters.flags & ASC_REQ_IDENTIFY;
    }
  }
  return FinishLeg(request, leg, result);
}
static_assert(ASC_REQ_IDENTIFY == ASC_RET_IDENTIFY);

RunResult AwaitMapping(Request& request, LegCall& leg) {
  const ClientMapping::Step step = leg.mapping.Next(request, *leg.context);
  if (step == ClientMapping::Step::kWaits) return RunResult::kSuspended;
  if (step == ClientMapping::Step::kLate && request.cause() == CallRun::kStopping) {
    return Finish(request, SEC_E_SHUTDOWN_IN_PROGRESS);
  }
  return FinishMappedLeg(request, leg, leg.ended);
}

// A leg has ended. Where it has authenticated a client, that one is mapped first. A client that is
// only named so far is mapped when CompleteAuthToken has found its response right.
RunResult EndLeg(Request& request, LegCall& leg, const LegResult& result) {
  if (!result.established || leg.parameters.direction != Direction::kInbound) {
    return FinishLeg(request, leg, result);
  }
  leg.context->set_level_asked(LevelAskedFor(leg));
  if (result.status != SEC_I_COMPLETE_NEEDED) leg.mapping.Begin(*leg.context);
  if (!leg.mapping.under_way()) return FinishMappedLeg(request, leg, result);
  leg.ended = result;
  return AwaitMapping(request, leg);
}

bool IsNull(const SecHandle& handle) { return handle.dwLower == 0 && handle.dwUpper == 0; }

// The context on which a leg wants to continue. Null: it is dead, or not one of the same kind.
Reference<ContextObject> FindOther(const ContextObject& own, const SecHandle& handle) {
  Reference<ContextObject> found = LookupContext(&handle);
  const bool fits = found && found.get() != &own && found->direction() == own.direction() &&
                    &found->credential().package() == &own.credential().package();
  return fits ? found : Reference<ContextObject>();
}

RunResult Move(Request& request, LegCall& leg, ContextObject& to, Reference<Object> kept) {
  leg.context = &to;
  leg.left = request.MoveTo(to.strand(), std::move(kept));
  return RunResult::kMoved;
}

RunResult RunLeg(Request& request) {
  using Place = LegCall::Place;
  auto& leg = *request.payload<std::unique_ptr<LegCall>>();
  if (leg.mapping.under_way()) return AwaitMapping(request, leg);
  if (leg.place == Place::kOnItsWay) {
    if (!LookupContext(&leg.found)) {
      leg.place = Place::kOwnAgain;
      return Move(request, leg, *leg.own, std::move(leg.left));
    }
    leg.place = Place::kFound;
  } else if (leg.place == Place::kOwnAgain) {
    leg.left.Reset();  // the dead one
  }
  LegResult result = RunOnContext(request, leg);
  if (result.suspended) return Suspend(request, result.limit_ms);
  if (!IsNull(result.continue_on) && leg.place == Place::kOwn) {
    leg.own = leg.context;
    leg.found = result.continue_on;
    if (Reference<ContextObject> found = FindOther(*leg.own, leg.found)) {
      leg.place = Place::kOnItsWay;
      ContextObject& to = *found;
      return Move(request, leg, to, KeepAlive(std::move(found)));
    }
    leg.place = Place::kOwnAgain;
    result = RunOnContext(request, leg);
    if (result.suspended) return Suspend(request, result.limit_ms);
  }
  if (!IsNull(result.continue_on)) return Finish(request, SEC_E_INTERNAL_ERROR);  // it moves once
  return EndLeg(request, leg, result);
}

struct DeleteCall {
  ContextObject& context;
  bool may_suspend;
  std::unique_ptr<PackageCallState> state{};
};

RunResult RunDelete(Request& request) {
  auto& deletion = request.payload<DeleteCall>();
  PackageCall call = CallOf(request, deletion.state);
  const bool may_suspend = deletion.may_suspend && (request.cause() == CallRun::kFirst ||
                                                    request.cause() == CallRun::kResumed);
  return FinishOrSuspend(request, deletion.context.End(call, may_suspend));
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
  std::unique_ptr<PackageCallState> state{};
  ClientMapping mapping{};
};

// The response of a client is right: now it is mapped. Whatever comes of that, the response is.
RunResult EndComplete(Request& request, ControlCall& control) {
  const bool waits = control.mapping.under_way() &&
                     control.mapping.Next(request, control.context) == ClientMapping::Step::kWaits;
  return waits ? RunResult::kSuspended : Finish(request, SEC_E_OK);
}

bool AuthenticatesClient(const ContextObject& context, const CallResult& completed) {
  return !completed.suspended && completed.status == SEC_E_OK &&
         context.direction() == Direction::kInbound && context.is_established();
}

RunResult RunControl(Request& request) {
  auto& control = request.payload<ControlCall>();
  if (control.kind == ControlKind::kApplyControlToken) {
    return Finish(request, control.context.ApplyControlToken(*control.token));
  }
  if (control.mapping.under_way()) return EndComplete(request, control);
  PackageCall call = CallOf(request, control.state);
  const CallResult result = control.context.CompleteAuthToken(call, *control.token);
  if (!AuthenticatesClient(control.context, result)) return FinishOrSuspend(request, result);
  control.mapping.Begin(control.context);
  return EndComplete(request, control);
}

struct VerifyCall {
  ContextObject& context;
  PSecBufferDesc message;
  ULONG sequence;
  KtlsimUlongOut qop_out;
  std::unique_ptr<PackageCallState> state{};
};

RunResult RunVerify(Request& request) {
  auto& verify = request.payload<VerifyCall>();
  PackageCall call = CallOf(request, verify.state);
  ULONG qop = 0;
  const CallResult result =
      verify.context.VerifySignature(call, *verify.message, verify.sequence, &qop);
  if (!result.suspended && result.status >= 0) verify.qop_out.Store(qop);
  return FinishOrSuspend(request, result);
}

bool RefusesKernelMode(const CredentialObject& credential, const LegParameters& parameters) {
  return parameters.kernel_mode && !credential.package().HasKernelModeAsync();
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
  const CallResult result = Acquire(parameters, nullptr);
  if (result.reason != nullptr) NoteReason(result.reason);
  return result.status;
}

bool AcquireMayWait(const AcquireParameters& parameters) {
  const Package* package = Runtime::Instance().FindPackage(parameters.package);
  return package != nullptr && package->AcquireMayWait();
}

SECURITY_STATUS PrepareAcquire(Request& request, AcquireParameters parameters) {
  if (parameters.credential == nullptr) return SEC_E_INVALID_PARAMETER;
  if (parameters.kernel_mode) {
    const Package* package = Runtime::Instance().FindPackage(parameters.package);
    if (package != nullptr && !package->HasKernelModeAsync()) return SEC_E_UNSUPPORTED_FUNCTION;
  }
  request.EmplacePayload<AcquireCall>(AcquireCall{.parameters = std::move(parameters)});
  request.Prepare(Lane::kHandshake, &Guarded<RunAcquire>, nullptr, {});
  request.CaptureIdentity();
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
    if (RefusesKernelMode(*call->credential, parameters)) return SEC_E_UNSUPPORTED_FUNCTION;
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
    if (RefusesKernelMode(context->credential(), parameters)) return SEC_E_UNSUPPORTED_FUNCTION;
  }
  call->context = context.get();
  call->parameters = std::move(parameters);
  executive::Strand* strand = &context->strand();
  request.EmplacePayload<std::unique_ptr<LegCall>>(std::move(call));
  request.Prepare(Lane::kHandshake, &Guarded<RunLeg>, strand, KeepAlive(std::move(context)));
  request.CaptureIdentity();
  return SEC_E_OK;
}

SECURITY_STATUS PrepareDelete(Request& request, const SecHandle* context, bool may_suspend) {
  const SECURITY_STATUS status =
      PrepareOnStrand<DeleteCall, RunDelete>(request, CloseContext(context), may_suspend);
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
  const SECURITY_STATUS status =
      PrepareOnStrand<ControlCall, RunControl>(request, LookupContext(context), token, kind);
  if (status == SEC_E_OK && kind == ControlKind::kCompleteAuthToken) request.CaptureIdentity();
  return status;
}

SECURITY_STATUS PrepareVerify(Request& request, const SecHandle* handle, PSecBufferDesc message,
                              ULONG sequence, KtlsimUlongOut qop) {
  Reference<ContextObject> context = LookupContext(handle);
  if (!context) return SEC_E_INVALID_HANDLE;
  if (!context->credential().package().Signs()) return SEC_E_UNSUPPORTED_FUNCTION;
  if (message == nullptr || TooManyBuffers(message)) return SEC_E_INVALID_PARAMETER;
  const SECURITY_STATUS status =
      PrepareOnStrand<VerifyCall, RunVerify>(request, std::move(context), message, sequence, qop);
  if (status == SEC_E_OK) request.CaptureIdentity();
  return status;
}

}  // namespace ktlsim::sspi
