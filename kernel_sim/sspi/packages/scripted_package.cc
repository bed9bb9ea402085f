#include "kernel_sim/sspi/packages/scripted_package.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <optional>

#include "kernel_sim/sspi/packages/buffers.h"

namespace ktlsim::sspi {
namespace {

constexpr std::array<std::string_view, 1> kNames = {ScriptedPackage::kName};
constexpr std::array<std::string_view, 1> kWaitingNames = {ScriptedPackage::kWaitingName};
constexpr ULONG kQop = 7;  // what VerifySignature reports

class ScriptedCredential final : public PackageCredential {
 public:
  ScriptedCredential(const Script& script, Direction direction)
      : script_(script), direction_(direction) {}
  Direction direction() const override { return direction_; }
  const Script& script() const { return script_; }

 private:
  const Script& script_;
  const Direction direction_;
};

// How often a call has been suspended by a wait.
struct ScriptedCallState final : PackageCallState {
  const ScriptedWait* wait = nullptr;
  int suspensions = 0;
};

// The result of a call that waits, or whose wait has ended it. None: it does its work now.
std::optional<CallResult> Wait(const ScriptedWait& wait, PackageCall& call) {
  if (wait.on_run) wait.on_run();
  if (call.run == CallRun::kStopping) return CallResult::Done(SEC_E_SHUTDOWN_IN_PROGRESS);
  if (call.run == CallRun::kTimedOut) return CallResult::Done(wait.timed_out);
  if (!wait.on_suspend) return std::nullopt;
  if (call.state == nullptr) call.state.reset(new (std::nothrow) ScriptedCallState());
  if (call.state == nullptr) return CallResult::Done(SEC_E_INSUFFICIENT_MEMORY);
  auto& state = static_cast<ScriptedCallState&>(*call.state);
  if (state.wait != &wait) {
    state.wait = &wait;
    state.suspensions = 0;
  }
  if (state.suspensions == wait.suspensions) return std::nullopt;
  ++state.suspensions;
  wait.on_suspend(call.Token());
  return CallResult::Suspended(wait.limit_ms);
}

class ScriptedContext final : public PackageContext {
 public:
  explicit ScriptedContext(const Script& script) : script_(script) {}

  LegResult Leg(const LegArguments& arguments) override {
    LegResult result;
    const ScriptedLeg* leg = Next(arguments);
    if (leg == nullptr) return result;
    if (const auto waited = Wait(*leg, *arguments.call)) {
      result.suspended = waited->suspended;
      result.limit_ms = waited->limit_ms;
      result.status = waited->status;
      return result;
    }
    if (leg->continue_on) {
      result.continue_on = leg->continue_on();
      if (result.continue_on.dwLower != 0) return result;
    }
    result.status = Perform(*leg, arguments);
    if (result.status != leg->status) return result;
    result.established = result.status == SEC_E_OK || result.status == SEC_I_COMPLETE_NEEDED;
    result.attributes = leg->attributes;
    if (!arguments.continued && next_ < script_.legs.size()) ++next_;
    return result;
  }

  bool Client(security::ClientFacts* facts) const override {
    if (script_.client_user.empty()) return false;
    facts->client = security::DigestClient{.user = script_.client_user, .realm = "scripted"};
    return true;
  }

  // A seal that a test can check: every byte is inverted.
  SECURITY_STATUS Encrypt(ULONG, SecBufferDesc& message, ULONG) override { return Invert(message); }
  SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG, ULONG* qop) override {
    *qop = 0;
    return Invert(message);
  }
  // The signature is the inverted data, in the token.
  SECURITY_STATUS MakeSignature(ULONG, SecBufferDesc& message, ULONG) override {
    const auto data = BytesOf(FindBuffer(&message, SECBUFFER_DATA));
    SecBuffer* const token = FindBuffer(&message, SECBUFFER_TOKEN);
    if (token == nullptr) return SEC_E_INVALID_TOKEN;
    if (token->cbBuffer < data.size()) return SEC_E_BUFFER_TOO_SMALL;
    token->cbBuffer = static_cast<ULONG>(data.size());
    std::ranges::transform(data, BytesOf(token).begin(), [](std::byte byte) { return ~byte; });
    return SEC_E_OK;
  }
  CallResult VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG,
                             ULONG* qop) override {
    if (const auto waited = Wait(script_.verify, call)) return *waited;
    const auto data = BytesOf(FindBuffer(&message, SECBUFFER_DATA));
    const auto token = BytesOf(FindBuffer(&message, SECBUFFER_TOKEN));
    const bool right = std::ranges::equal(data, token, {}, [](std::byte byte) { return ~byte; });
    if (!right) return CallResult::Done(SEC_E_MESSAGE_ALTERED);
    *qop = kQop;
    return CallResult::Done(SEC_E_OK);
  }
  CallResult CompleteAuthToken(PackageCall& call, SecBufferDesc& token) override {
    if (const auto waited = Wait(script_.complete, call)) return *waited;
    return CallResult::Done(Invert(token, SECBUFFER_TOKEN));
  }
  CallResult End(PackageCall& call, bool may_suspend) override {
    if (may_suspend) {
      const auto waited = Wait(script_.end, call);
      if (waited && waited->suspended) return *waited;
    }
    if (script_.on_end) script_.on_end();
    return CallResult::Done(SEC_E_OK);
  }

 private:
  // Null: there is none.
  const ScriptedLeg* Next(const LegArguments& arguments) const {
    if (arguments.continued) return &script_.continued;
    if (arguments.found_dead) return &script_.found_dead;
    if (script_.legs.empty() || (next_ == script_.legs.size() && !script_.repeats)) return nullptr;
    return &script_.legs[std::min(next_, script_.legs.size() - 1)];
  }

  // The status of the leg, unless input or output do not fit.
  static SECURITY_STATUS Perform(const ScriptedLeg& leg, const LegArguments& arguments) {
    const std::span<std::byte> input = BytesOf(FindBuffer(arguments.input, SECBUFFER_TOKEN));
    if (!leg.expected.empty() &&
        (input.size() != leg.expected.size() ||
         std::memcmp(input.data(), leg.expected.data(), input.size()) != 0)) {
      return SEC_E_INVALID_TOKEN;
    }
    if (SecBuffer* token = FindBuffer(arguments.output, SECBUFFER_TOKEN)) {
      if (token->cbBuffer < leg.output.size()) return SEC_E_BUFFER_TOO_SMALL;
      std::memcpy(token->pvBuffer, leg.output.data(), leg.output.size());
      token->cbBuffer = static_cast<ULONG>(leg.output.size());
    }
    return leg.status;
  }

  static SECURITY_STATUS Invert(SecBufferDesc& message, ULONG type = SECBUFFER_DATA) {
    SecBuffer* data = FindBuffer(&message, type);
    if (data == nullptr) return SEC_E_INVALID_TOKEN;
    for (std::byte& byte : BytesOf(data)) byte = ~byte;
    return SEC_E_OK;
  }

  const Script& script_;
  std::size_t next_ = 0;
};

}  // namespace

ScriptedPackage& ScriptedPackage::Instance() {
  static auto* const package = new ScriptedPackage(/*waiting=*/false);
  return *package;
}

ScriptedPackage& ScriptedPackage::Waiting() {
  static auto* const package = new ScriptedPackage(/*waiting=*/true);
  return *package;
}

std::span<const std::string_view> ScriptedPackage::Names() const {
  return waiting_ ? kWaitingNames : kNames;
}

CallResult ScriptedPackage::Acquire(const AcquireArguments& arguments, PackageCall* call,
                                    std::unique_ptr<PackageCredential>* credential) {
  if (arguments.auth_data == nullptr) return CallResult::Done(SEC_E_NO_CREDENTIALS);
  const auto& script = *static_cast<const Script*>(arguments.auth_data);
  if (call != nullptr) {
    if (const auto waited = Wait(script.acquire, *call)) return *waited;
  }
  if (script.acquire_status != SEC_E_OK) return CallResult::Done(script.acquire_status);
  credential->reset(new (std::nothrow) ScriptedCredential(script, arguments.direction));
  return CallResult::Done(*credential != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY);
}

SECURITY_STATUS ScriptedPackage::CreateContext(PackageCredential& credential,
                                               std::unique_ptr<PackageContext>* context) {
  context->reset(new (std::nothrow)
                     ScriptedContext(static_cast<ScriptedCredential&>(credential).script()));
  return *context != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}

}  // namespace ktlsim::sspi
