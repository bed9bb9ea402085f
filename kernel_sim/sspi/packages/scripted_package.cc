#include "kernel_sim/sspi/packages/scripted_package.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "kernel_sim/sspi/packages/buffers.h"

namespace ktlsim::sspi {
namespace {

constexpr std::array<std::string_view, 1> kNames = {ScriptedPackage::kName};

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

class ScriptedContext final : public PackageContext {
 public:
  explicit ScriptedContext(const Script& script) : script_(script) {}

  LegResult Leg(const LegArguments& arguments) override {
    LegResult result;
    if (script_.legs.empty() || (next_ == script_.legs.size() && !script_.repeats)) {
      result.status = SEC_E_INTERNAL_ERROR;
      return result;
    }
    const ScriptedLeg& leg = script_.legs[std::min(next_, script_.legs.size() - 1)];
    if (leg.on_run) leg.on_run();
    if (leg.on_suspend && !arguments.request->resumed()) {
      leg.on_suspend(executive::ResumeToken(*arguments.request));
      result.suspended = true;
      return result;
    }
    const std::span<std::byte> input = BytesOf(FindBuffer(arguments.input, SECBUFFER_TOKEN));
    if (!leg.expected.empty() &&
        (input.size() != leg.expected.size() ||
         std::memcmp(input.data(), leg.expected.data(), input.size()) != 0)) {
      result.status = SEC_E_INVALID_TOKEN;
      return result;
    }
    if (SecBuffer* token = FindBuffer(arguments.output, SECBUFFER_TOKEN)) {
      if (token->cbBuffer < leg.output.size()) {
        result.status = SEC_E_BUFFER_TOO_SMALL;
        return result;
      }
      std::memcpy(token->pvBuffer, leg.output.data(), leg.output.size());
      token->cbBuffer = static_cast<ULONG>(leg.output.size());
    }
    result.status = leg.status;
    result.established = leg.status == SEC_E_OK || leg.status == SEC_I_COMPLETE_NEEDED;
    result.attributes = leg.attributes;
    if (next_ < script_.legs.size()) ++next_;
    return result;
  }

  // A seal that a test can check: every byte is inverted.
  SECURITY_STATUS Encrypt(ULONG, SecBufferDesc& message, ULONG) override { return Invert(message); }
  SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG, ULONG* qop) override {
    *qop = 0;
    return Invert(message);
  }
  SECURITY_STATUS CompleteAuthToken(SecBufferDesc& token) override {
    return Invert(token, SECBUFFER_TOKEN);
  }

 private:
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
  static auto* const package = new ScriptedPackage();
  return *package;
}

std::span<const std::string_view> ScriptedPackage::Names() const { return kNames; }

SECURITY_STATUS ScriptedPackage::Acquire(const AcquireArguments& arguments,
                                         std::unique_ptr<PackageCredential>* credential) {
  if (arguments.auth_data == nullptr) return SEC_E_NO_CREDENTIALS;
  const auto& script = *static_cast<const Script*>(arguments.auth_data);
  if (script.acquire_status != SEC_E_OK) return script.acquire_status;
  credential->reset(new (std::nothrow) ScriptedCredential(script, arguments.direction));
  return *credential != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}

SECURITY_STATUS ScriptedPackage::CreateContext(PackageCredential& credential,
                                               std::unique_ptr<PackageContext>* context) {
  context->reset(new (std::nothrow)
                     ScriptedContext(static_cast<ScriptedCredential&>(credential).script()));
  return *context != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}

}  // namespace ktlsim::sspi
