#include "tests/faults/fault_run.h"

#include <ktlsim/sspi_ext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>
#include <sstream>
#include <vector>

#include "tests/support/seeds.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

constexpr std::uint64_t kRunsMax = 200'000;
constexpr int kFailuresMax = 12;
constexpr int kCacheRunsMax = 1200;

// Printed when the program ends in a call: nothing else says which allocation failed.
std::array<char, 256> doing{};

void TellOnCrash() {
  static const bool installed = [] {
    std::set_terminate([] {
      const AllocationFaults::Exempt own;
      std::fprintf(stderr, "terminated in %s%s\n", doing.data(), AllocationFaults::Where().c_str());
      std::abort();
    });
#ifndef KTLSIM_TEST_SANITIZED
    std::signal(SIGSEGV, [](int) {
      const AllocationFaults::Exempt own;
      std::fprintf(stderr, "crashed in %s%s\n", doing.data(), AllocationFaults::Where().c_str());
      std::_Exit(139);
    });
#endif
    return true;
  }();
  static_cast<void>(installed);
}

const char* NameOf(FaultExtent extent) {
  return extent == FaultExtent::kOne ? "" : " and all later ones";
}

struct Counts {
  std::uint64_t async_contexts = 0;
  std::uint64_t security_contexts = 0;
  std::uint64_t credentials = 0;
  std::uint64_t context_buffers = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t owed_callbacks = 0;
  bool operator==(const Counts&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Counts& counts) {
  return out << counts.async_contexts << " async contexts, " << counts.security_contexts
             << " security contexts, " << counts.credentials << " credentials, "
             << counts.context_buffers << " context buffers, " << counts.in_flight
             << " calls in flight, " << counts.owed_callbacks << " callbacks owed";
}

Counts CountsNow() {
  const KtlsimStatistics now = Statistics();
  return {.async_contexts = now.cAsyncContexts,
          .security_contexts = now.cSecurityContexts,
          .credentials = now.cCredentials,
          .context_buffers = now.cContextBuffers,
          .in_flight = now.cInFlight};
}

// One run; returns the blocks that it did not free.
std::int64_t Play(const std::string& name, const Scene& scene, std::uint64_t n, FaultExtent extent,
                  std::uint64_t* counted, bool* fired) {
  const std::int64_t before = AllocationFaults::LiveBlocks();
  {
    FaultRun run(name, n, extent);
    scene(run);
    *counted = AllocationFaults::Counted();
    *fired = AllocationFaults::Fired();
  }
  // A call disappears from the statistics shortly after its callback.
  WaitUntil([] { return Statistics().cInFlight == 0; });
  return AllocationFaults::LiveBlocks() - before;
}

// Memory that stops growing is a cache (expanded keys: one more for each connection, until it is
// full); memory that grows each time is lost. Returns the callers that allocated it, or "".
std::string Lost(const std::string& name, const Scene& scene, std::uint64_t n, FaultExtent extent) {
  std::uint64_t counted = 0;
  bool fired = false;
  for (int i = 0; i < kCacheRunsMax; ++i) {
    if (Play(name, scene, n, extent, &counted, &fired) <= 0) return "";
  }
  AllocationFaults::Remember();
  Play(name, scene, n, extent, &counted, &fired);
  return AllocationFaults::Remembered();
}

int Failures() {
  return testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

void PlayOne(const std::string& name, const Scene& scene, std::uint64_t n, FaultExtent extent,
             const Counts& start) {
  std::uint64_t counted = 0;
  bool fired = false;
  const int failures = Failures();
  const std::int64_t grown = Play(name, scene, n, extent, &counted, &fired);
  const std::string where = AllocationFaults::Where();
  if (const Counts now = CountsNow(); !(now == start)) {
    ADD_FAILURE() << name << ", allocation " << n << NameOf(extent) << ": started with " << start
                  << ", ended with " << now << where;
    return;
  }
  const std::string lost = grown > 0 && Failures() == failures ? Lost(name, scene, n, extent) : "";
  if (!lost.empty()) {
    ADD_FAILURE() << name << ", allocation " << n << NameOf(extent) << ": " << grown
                  << " blocks are lost" << where << lost;
    return;
  }
  // The next run of the scene does the same up to its own fault.
  if (fired && (!EveryFault() || n % 16 == 0)) {
    Play(name, scene, AllocationFaults::kNever, extent, &counted, &fired);
  }
}

}  // namespace

FaultRun::FaultRun(std::string scene, std::uint64_t n, FaultExtent extent)
    : scene_(std::move(scene)), n_(n), extent_(extent) {
  std::snprintf(doing.data(), doing.size(), "%s, allocation %lld%s", scene_.c_str(),
                static_cast<long long>(n), NameOf(extent));
  AllocationFaults::Prepare(n, extent);
}

FaultRun::~FaultRun() { AllocationFaults::Prepare(AllocationFaults::kNever, FaultExtent::kOne); }

bool FaultRun::Judge(SECURITY_STATUS expected, const char* what, SECURITY_STATUS status) {
  if (status == expected) return true;
  if (status != SEC_E_INSUFFICIENT_MEMORY || !fired()) Report(what, status);
  return false;
}

void FaultRun::Report(const std::string& what, SECURITY_STATUS status) {
  std::ostringstream text;
  if (status == kThrew) {
    text << "let an exception out";
  } else {
    text << "returned 0x" << std::hex << static_cast<std::uint32_t>(status);
  }
  ADD_FAILURE() << scene_ << ", allocation " << static_cast<std::int64_t>(n_) << NameOf(extent_)
                << (fired() ? "" : " (not reached)") << ": " << what << " " << text.str()
                << AllocationFaults::Where();
}

bool EveryFault() {
  const char* text = std::getenv("KTLSIM_FAULTS");
  return text != nullptr && std::strcmp(text, "all") == 0;
}

std::vector<std::uint64_t> NumbersToFail(std::uint64_t count, std::uint64_t share) {
  std::set<std::uint64_t> chosen;
  if (count != 0 && kSanitized) share = std::max<std::uint64_t>(share / 4, 2);
  if (EveryFault() || count <= share) {
    for (std::uint64_t n = 0; n < count; ++n) chosen.insert(n);
  } else {
    std::mt19937_64 random(NumberFromEnvironment("KTLSIM_SEED").value_or(1));
    chosen.insert(0);
    chosen.insert(count - 1);
    while (chosen.size() < share) chosen.insert(random() % count);
  }
  return {chosen.begin(), chosen.end()};
}

void PlayWithFaults(const std::string& name, const Scene& scene, std::uint64_t share) {
  TellOnCrash();
  std::uint64_t counted = 0;
  bool fired = false;
  // The calls that prepared the scene, too, disappear from the statistics shortly after their
  // callbacks.
  WaitUntil([] { return Statistics().cInFlight == 0; });
  const Counts start = CountsNow();
  // This fills caches, and shows that the scene passes when nothing fails.
  for (int i = 0; i < 3; ++i) {
    Play(name, scene, AllocationFaults::kNever, FaultExtent::kOne, &counted, &fired);
    ASSERT_EQ(CountsNow(), start) << name;
    if (testing::Test::HasFailure()) return;
  }
  const std::uint64_t before = AllocationFaults::FailedInAll();
  if (const auto one = NumberFromEnvironment("KTLSIM_FAULT")) {
    PlayOne(name, scene, *one, FaultExtent::kOne, start);
    PlayOne(name, scene, *one, FaultExtent::kFromThenOn, start);
    return;
  }
  ASSERT_LT(counted, kRunsMax) << name;
  const int failures_before = Failures();
  for (const std::uint64_t n : NumbersToFail(counted, share)) {
    for (const FaultExtent extent : {FaultExtent::kOne, FaultExtent::kFromThenOn}) {
      PlayOne(name, scene, n, extent, start);
      // The same defect would be reported many times.
      if (Failures() - failures_before > kFailuresMax) return;
    }
  }
  testing::Test::RecordProperty(name, std::to_string(counted));
  std::printf("%s: %llu allocations, %llu failed\n", name.c_str(),
              static_cast<unsigned long long>(counted),
              static_cast<unsigned long long>(AllocationFaults::FailedInAll() - before));
}

}  // namespace ktlsim::test
