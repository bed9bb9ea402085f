#include "kernel_sim/command/driver.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/digest_login.h"
#include "kernel_sim/command/load_handlers.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kErrorTextsMax = 5;
constexpr std::uint64_t kTellEveryNs = kNsPerSecond / 10;

void Keep(const std::string& text, std::vector<std::string>* texts) {
  const bool known = std::find(texts->begin(), texts->end(), text) != texts->end();
  if (!known && texts->size() < kErrorTextsMax) texts->push_back(text);
}

}  // namespace

LoadPhase::LoadPhase(transport::ClientPath& path, LoadPlan plan)
    : path_(path), plan_(std::move(plan)) {
  const std::vector<io::Loop*>& loops = path_.loops();
  MakeTallies();
  for (unsigned i = 0; i < plan_.slots; ++i) {
    const std::size_t at = i % loops.size();
    const transport::TlsProfile& profile = *plan_.profiles[i % plan_.profiles.size()];
    LoadDispatcher* const dispatcher = at < dispatchers_.size() ? dispatchers_[at].get() : nullptr;
    slots_.push_back(MakeLoadSlot(*this, {*loops[at], profile, *tallies_[at], dispatcher, i}));
  }
}

void LoadPhase::MakeTallies() {
  const std::vector<io::Loop*>& loops = path_.loops();
  const std::size_t used = std::min<std::size_t>(loops.size(), plan_.slots);
  for (std::size_t i = 0; i < loops.size(); ++i) {
    tallies_.push_back(std::make_unique<LoadTally>());
    LoadTally& tally = *tallies_.back();
    tally.latency.Prepare();
    for (LatencyHistogram& phase : tally.phases) phase.Prepare();
    if (plan_.measured_ns != 0) tally.series.Prepare(plan_.measured_ns);
    if (plan_.rate <= 0 || i >= used) continue;
    // The slots are dealt out one by one.
    const std::size_t slots = plan_.slots / used + (i < plan_.slots % used ? 1 : 0);
    const double rate = plan_.rate * static_cast<double>(slots) / plan_.slots;
    dispatchers_.push_back(std::make_unique<LoadDispatcher>(
        *loops[i], LoadTimetable(rate, plan_.arrivals, plan_.seed + i)));
  }
  MutexLock lock(mutex_);
  if (plan_.measured_ns != 0) errors_over_time_.Prepare(plan_.measured_ns);
}

LoadPhase::~LoadPhase() = default;

void LoadPhase::Start() {
  const std::uint64_t now = MonotonicClock::Now();
  for (std::size_t i = 0; i < dispatchers_.size(); ++i) {
    dispatchers_[i]->timetable().Start(
        now, (static_cast<double>(i) + plan_.offset) / static_cast<double>(dispatchers_.size()));
  }
  live_.store(slots_.size(), std::memory_order_relaxed);
  AddHolds();
  for (const auto& slot : slots_) slot->PostStart();
}

void LoadPhase::BeginMeasuring() {
  measuring_since_ns_.store(MonotonicClock::Now(), std::memory_order_relaxed);
  stage_.store(Stage::kMeasuring, std::memory_order_release);
}

void LoadPhase::EndMeasuring() {
  ended_ns_.store(MonotonicClock::Now(), std::memory_order_release);
  stage_.store(Stage::kMeasured, std::memory_order_release);
}

void LoadPhase::End(std::uint64_t limit_ns, const Waiting& waiting) {
  WaitForSlots(limit_ns, waiting);
  if (plan_.login == nullptr) return;
  plan_.login->proofs().Wait();
  CountWrongProofs();
}

void LoadPhase::TendLogin() {
  if (plan_.login == nullptr) return;
  const std::string wrong = plan_.login->Renew(plan_.target);
  if (!wrong.empty()) CountError("--digest: " + wrong);
  CountWrongProofs();
}

void LoadPhase::CountWrongProofs() {
  for (const std::string& text : plan_.login->TakeWrongProofs()) CountError("--digest: " + text);
}

void LoadPhase::BeginEnding() {
  if (ending()) return;
  stage_.store(Stage::kEnding, std::memory_order_release);
  AddHolds();
  for (const auto& slot : slots_) slot->PostEnd();
}

void LoadPhase::WaitForSlots(std::uint64_t limit_ns, const Waiting& waiting) {
  BeginEnding();
  const auto all_released = [this]() KTLSIM_NO_THREAD_SAFETY { return holds_ == 0; };
  const std::uint64_t limit = MonotonicClock::Now() + limit_ns;
  for (std::uint64_t now = limit - limit_ns; now < limit; now = MonotonicClock::Now()) {
    const auto part = std::chrono::nanoseconds(std::min(limit - now, kTellEveryNs));
    {
      MutexLock lock(mutex_);
      if (released_.wait_for(mutex_, part, all_released)) return;
    }
    if (waiting && !waiting(live_slots(), limit - now)) break;
  }
  AddHolds();
  for (const auto& slot : slots_) slot->PostAbort();
  MutexLock lock(mutex_);
  released_.wait(mutex_, all_released);
}

void LoadPhase::AddHolds() {
  MutexLock lock(mutex_);
  holds_ += slots_.size();
}

void LoadPhase::DropHold() {
  MutexLock lock(mutex_);
  if (--holds_ == 0) released_.notify_all();
}

void LoadPhase::Negotiated(transport::Connection& connection) {
  transport::ConnectionInfo info = connection.Info();
  CtxtHandle context = connection.security_context();
  PCCERT_CONTEXT shown = nullptr;
  if (QueryContextAttributesA(&context, SECPKG_ATTR_REMOTE_CERT_CONTEXT,
                              static_cast<void*>(&shown)) != SEC_E_OK) {
    shown = nullptr;
  }
  Certificate certificate(shown);
  MutexLock lock(mutex_);
  if (negotiated_known_.exchange(true, std::memory_order_relaxed)) return;
  negotiated_ = std::move(info);
  server_certificate_ = std::move(certificate);
}

std::optional<CertificateFacts> LoadPhase::server_certificate() const {
  MutexLock lock(mutex_);
  return DescribeCertificate(server_certificate_.get());
}

transport::ConnectionInfo LoadPhase::negotiated() const {
  MutexLock lock(mutex_);
  return negotiated_;
}

std::uint64_t LoadPhase::operations() const {
  std::uint64_t sum = 0;
  for (const auto& tally : tallies_) sum += tally->operations.load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t LoadPhase::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& tally : tallies_) sum += tally->bytes.load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t LoadPhase::not_begun() const {
  std::uint64_t sum = 0;
  for (const auto& dispatcher : dispatchers_) sum += dispatcher->timetable().DueBefore(ended_ns());
  return sum;
}

void LoadPhase::Tell(ResultRow* row) const {
  row->operations = operations();
  if (transport::ConnectionInfo info = negotiated(); info.version != 0) {
    row->negotiated = std::move(info);
  }
  row->bytes = bytes();
  row->errors = errors();
  row->error_texts = error_texts();
  row->not_begun = not_begun();
  for (const auto& dispatcher : dispatchers_) {
    row->lag.Merge(dispatcher->lag());
    // Left out, they would make a server that cannot keep up look fast.
    dispatcher->timetable().RecordWaits(ended_ns(), &row->latency);
  }
  for (const auto& tally : tallies_) {
    row->latency.Merge(tally->latency);
    for (std::size_t i = 0; i < kOperationPhases; ++i) row->phases[i].Merge(tally->phases[i]);
    tally->series.Finish();
    row->series.Merge(tally->series);
    for (std::size_t i = 0; i < kStatusClasses; ++i) {
      row->statuses[i] += tally->statuses[i].load(std::memory_order_relaxed);
    }
    row->late += tally->late;
    row->unfinished += tally->unfinished;
    row->oldest_unfinished_ns = std::max(row->oldest_unfinished_ns, tally->oldest_unfinished_ns);
  }
  MutexLock lock(mutex_);
  row->series.Merge(errors_over_time_);
}

std::vector<std::string> LoadPhase::error_texts() const {
  MutexLock lock(mutex_);
  return error_texts_;
}

std::vector<std::string> LoadPhase::warm_up_error_texts() const {
  MutexLock lock(mutex_);
  return warm_up_error_texts_;
}

std::vector<std::string> LoadPhase::passed_over() const {
  MutexLock lock(mutex_);
  return passed_over_;
}

void LoadPhase::NotePassedOver(const std::string& text) {
  MutexLock lock(mutex_);
  Keep(text, &passed_over_);
}

void LoadPhase::CountError(const std::string& text) {
  const Stage stage = stage_.load(std::memory_order_acquire);
  const bool warm_up = stage == Stage::kWarmUp;
  (warm_up ? warm_up_errors_ : errors_).fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  if (!warm_up) errors_over_time_.AddErrors(MeasuredFor(MonotonicClock::Now()), 1);
  Keep(text, warm_up ? &warm_up_error_texts_ : &error_texts_);
}

}  // namespace ktlsim::command
