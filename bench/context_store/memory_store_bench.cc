// What does a context cost in the memory store, and what does a look-up?
//
// BM_Get, BM_Advance: one operation on a context chosen at random among `contexts`, values of 72
// bytes under names of 16, which is about what an established digest context keeps.
// The counter bytes_per_context is the memory that the process got, divided.
//
// Baselines: BM_HashMap, the standard library's map under one mutex; BM_BareRead, `lines` adjacent
// cache lines at a random place of 200 MiB, each read ended before the next one begins: what no
// look-up that leaves the caches can be faster than.
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include <benchmark/benchmark.h>

#include "io/seeded_random.h"
#include "kernel_sim/context_store/memory_store.h"

namespace ktlsim::context_store {
namespace {

constexpr std::size_t kValueBytes = 72;

class Call final : public StoreCall {
 public:
  void OnStored() override {}
};

// Spread like random ones, and made again from their number.
std::array<std::byte, 16> NameOf(std::uint64_t number) {
  std::array<std::byte, 16> name;
  const std::uint64_t words[] = {number * 0x9E3779B97F4A7C15U, ~number * 0xC2B2AE3D27D4EB4FU};
  std::memcpy(name.data(), words, sizeof(words));
  return name;
}

// Resident, without what was freed before.
std::size_t ResidentBytes() {
  malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

struct Filled {
  explicit Filled(std::uint64_t contexts) {
    const std::size_t before = ResidentBytes();
    store = MemoryStore::Create(clock, {.entries_max = contexts + contexts / 8}).value();
    PutRequest put;
    const std::array<std::byte, kValueBytes> value{};
    put.value = value;
    put.lifetime_ns = 36'000 * kNsPerSecond;
    put.use = {.epoch = store->epoch(), .nonce = 1, .count = 1, .window = 64};
    for (std::uint64_t i = 0; i < contexts; ++i) {
      const auto name = NameOf(i);
      ok = store->Put(call, {.kind = Kind::kDigestContext, .name = name}, put) == Begun::kDone &&
           call.result() == StoreResult::kOk && ok;
    }
    bytes = ResidentBytes() - before;
    ok = store->Count(call) == Begun::kDone && call.counts().entries[0] == contexts && ok;
  }

  MonotonicClock clock;
  std::unique_ptr<MemoryStore> store;
  Call call;
  std::size_t bytes = 0;
  bool ok = true;
};

void BM_Get(benchmark::State& state) {
  const auto contexts = static_cast<std::uint64_t>(state.range(0));
  Filled filled(contexts);
  if (!filled.ok) return state.SkipWithError("a context is missing");
  io::SeededRandom random(1);
  for (auto iteration : state) {
    const auto name = NameOf(random.Below(contexts));
    const Begun begun =
        filled.store->Get(filled.call, {.kind = Kind::kDigestContext, .name = name});
    benchmark::DoNotOptimize(begun);
    if (filled.call.result() != StoreResult::kOk) return state.SkipWithError("not found");
  }
  state.counters["bytes_per_context"] =
      static_cast<double>(filled.bytes) / static_cast<double>(contexts);
}
BENCHMARK(BM_Get)->ArgName("contexts")->Arg(1000)->Arg(1'000'000);

void BM_Advance(benchmark::State& state) {
  const auto contexts = static_cast<std::uint64_t>(state.range(0));
  Filled filled(contexts);
  if (!filled.ok) return state.SkipWithError("a context is missing");
  io::SeededRandom random(1);
  std::uint32_t count = 1;
  NonceUse use{.epoch = filled.store->epoch(), .nonce = 1, .count = 0, .window = 64};
  for (auto iteration : state) {
    const auto name = NameOf(random.Below(contexts));
    use.count = ++count;
    const Begun begun =
        filled.store->Advance(filled.call, {.kind = Kind::kDigestContext, .name = name}, use);
    benchmark::DoNotOptimize(begun);
    if (filled.call.result() != StoreResult::kOk) return state.SkipWithError("refused");
  }
}
BENCHMARK(BM_Advance)->ArgName("contexts")->Arg(1000)->Arg(1'000'000);

void BM_HashMap(benchmark::State& state) {
  const auto contexts = static_cast<std::uint64_t>(state.range(0));
  const std::size_t before = ResidentBytes();
  const auto text = [](std::uint64_t number) {
    const auto name = NameOf(number);
    return std::string(reinterpret_cast<const char*>(name.data()), name.size());
  };
  std::mutex mutex;
  std::unordered_map<std::string, std::string> map;
  for (std::uint64_t i = 0; i < contexts; ++i) map[text(i)] = std::string(kValueBytes, 'x');
  const std::size_t bytes = ResidentBytes() - before;
  io::SeededRandom random(1);
  std::string value;
  for (auto iteration : state) {
    const std::string name = text(random.Below(contexts));
    const std::lock_guard lock(mutex);
    value = map.at(name);
    benchmark::DoNotOptimize(value.data());
  }
  state.counters["bytes_per_context"] = static_cast<double>(bytes) / static_cast<double>(contexts);
}
BENCHMARK(BM_HashMap)->ArgName("contexts")->Arg(1000)->Arg(1'000'000);

void BM_BareRead(benchmark::State& state) {
  constexpr std::size_t kBytes = std::size_t{200} << 20;
  constexpr std::size_t kPieceBytes = std::size_t{2} << 20;
  const auto lines = static_cast<std::size_t>(state.range(0));
  void* const mapped = mmap(nullptr, kBytes + kPieceBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return state.SkipWithError("no memory");
  madvise(mapped, kBytes + kPieceBytes, state.range(1) != 0 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  std::memset(mapped, 1, kBytes + kPieceBytes);
  const auto* const bytes = static_cast<const volatile unsigned char*>(mapped);
  io::SeededRandom random(1);
  std::uint64_t sum = 0;
  for (auto iteration : state) {
    // The place depends on what was read, so that no two reads overlap.
    const std::size_t at = (random.Below(kBytes / 256 - 1) + (sum & 1)) * 256;
    sum = 0;
    for (std::size_t i = 0; i < lines; ++i) sum += bytes[at + i * 64];
    benchmark::DoNotOptimize(sum);
  }
  munmap(mapped, kBytes + kPieceBytes);
}
BENCHMARK(BM_BareRead)->ArgNames({"lines", "huge_pages"})->ArgsProduct({{1, 2, 4}, {0, 1}});

}  // namespace
}  // namespace ktlsim::context_store
