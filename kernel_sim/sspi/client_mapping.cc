#include "kernel_sim/sspi/client_mapping.h"

#include <algorithm>
#include <new>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/executive/executive.h"
#include "kernel_sim/sspi/objects.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::sspi {
namespace {

using executive::Request;
using security::IdentityMapping;
using security::MappingOutcome;

constexpr std::uint32_t kMappingMsMax = 30000;

// kComes: the request is resumed when the mapping is done.
enum class Wake : std::uint8_t { kComes, kDone, kNoMemory };

Wake WakeWhenDone(IdentityMapping& mapping, Request& request) {
  try {
    const bool comes =
        mapping.WakeBy([token = executive::ResumeToken(request)]() mutable { token.Resume(); });
    return comes ? Wake::kComes : Wake::kDone;
  } catch (const std::bad_alloc&) {
    return Wake::kNoMemory;
  }
}

// A package may have waited in this call: that limit is over with its wait.
void LimitWait(Request& request, std::uint32_t limit_ms) {
  request.deadline().set_ns(0);
  Runtime::Instance().ExecutiveInFlight().LimitSuspension(
      request, std::clamp(limit_ms, 1U, kMappingMsMax) * kNsPerMs);
}

}  // namespace

void ClientMapping::Begin(ContextObject& context) {
  ClientIdentity& client = context.client();
  MappedBy by;
  by.level = context.level_asked();
  const std::shared_ptr<security::IdentityMapper> mapper =
      Runtime::Instance().identity_mapper(&by.mapper);
  if (mapper != nullptr) by.generation = mapper->generation();
  if (client.IsOf(by)) return;
  if (mapper == nullptr) {
    client.Forget();
    return;
  }
  bool asked = false;
  mapping_ = context.MapClient(*mapper, by.level, &asked);
  by_ = by;
  if (mapping_ != nullptr) return;
  client.Set(by, asked ? MappingOutcome::kNoMemory : MappingOutcome::kNoMatch, nullptr);
}

ClientMapping::Step ClientMapping::Next(Request& request, ContextObject& context) {
  MappingOutcome late = MappingOutcome::kFailure;
  const bool may_wait = !waited_ && request.cause() != CallRun::kStopping;
  if (may_wait && !mapping_->done()) {
    waited_ = true;
    const Wake wake = WakeWhenDone(*mapping_, request);
    if (wake == Wake::kComes) {
      LimitWait(request, mapping_->limit_ms());
      return Step::kWaits;
    }
    if (wake == Wake::kNoMemory) late = MappingOutcome::kNoMemory;
  }
  const bool in_time = mapping_->done();
  if (!in_time) mapping_->GiveUp();
  context.client().Set(by_, in_time ? mapping_->outcome() : late,
                       in_time ? mapping_->token() : nullptr);
  mapping_.reset();
  return in_time ? Step::kInTime : Step::kLate;
}

}  // namespace ktlsim::sspi
