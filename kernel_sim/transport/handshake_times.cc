#include "kernel_sim/transport/handshake_times.h"

#include <algorithm>
#include <new>

namespace ktlsim::transport {
namespace {

struct SuiteName {
  std::uint16_t number;
  const char* version;
  const char* name;
};
// Those that the library can negotiate; IANA's TLS Cipher Suites.
constexpr std::array kSuiteNames = {
    SuiteName{0x1301, "1.3", "TLS_AES_128_GCM_SHA256"},
    SuiteName{0x1302, "1.3", "TLS_AES_256_GCM_SHA384"},
    SuiteName{0x1303, "1.3", "TLS_CHACHA20_POLY1305_SHA256"},
    SuiteName{0xC02B, "1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    SuiteName{0xC02C, "1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
    SuiteName{0xC02F, "1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
    SuiteName{0xC030, "1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
    SuiteName{0xCCA8, "1.2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
    SuiteName{0xCCA9, "1.2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
    SuiteName{0, "other", "other"}};

struct GroupName {
  std::uint16_t number;
  const char* name;
};
constexpr std::array kGroupNames = {GroupName{0, "none"},      GroupName{23, "P-256"},
                                    GroupName{24, "P-384"},    GroupName{25, "P-521"},
                                    GroupName{29, "X25519"},   GroupName{30, "X448"},
                                    GroupName{0xFFFF, "other"}};

// The last one is for all that are not there.
template <typename Names>
std::size_t IndexIn(const Names& names, std::uint16_t number) {
  const auto last = names.end() - 1;
  const auto found = std::find_if(names.begin(), last,
                                  [number](const auto& name) { return name.number == number; });
  return static_cast<std::size_t>(found - names.begin());
}

}  // namespace

HandshakeTimes::~HandshakeTimes() {
  for (const auto& cell : cells_) delete cell.load(std::memory_order_relaxed);
}

std::size_t HandshakeTimes::IndexOf(const HandshakeFacts& facts) {
  static_assert(kSuiteNames.size() == kSuites && kGroupNames.size() == kGroups);
  const std::size_t suite = IndexIn(kSuiteNames, facts.cipher_suite);
  return (suite * kGroups + IndexIn(kGroupNames, facts.group)) * 2 + (facts.resumed ? 1 : 0);
}

HandshakeFigures HandshakeTimes::Describe(std::size_t index) {
  const SuiteName& suite = kSuiteNames[index / 2 / kGroups];
  HandshakeFigures figures;
  figures.version = suite.version;
  figures.suite = suite.name;
  figures.group = kGroupNames[index / 2 % kGroups].name;
  figures.resumed = index % 2 != 0;
  return figures;
}

void HandshakeTimes::Add(const HandshakeFacts& facts, std::uint64_t ns) {
  std::atomic<Cell*>& place = cells_[IndexOf(facts)];
  Cell* cell = place.load(std::memory_order_relaxed);
  if (cell == nullptr) {
    cell = new (std::nothrow) Cell;
    if (cell == nullptr) {
      left_out_.Add();
      return;
    }
    // Readers see it empty, not unmade.
    place.store(cell, std::memory_order_release);
  }
  cell->calls[HandshakeClasses::Of(ns)].Add();
  cell->total_ns.Add(ns);
}

HandshakeTimes& HandshakeTimesOfLoops::On(const io::Loop& loop) {
  MutexLock lock(mutex_);
  for (const auto& [of, times] : loops_) {
    if (of == &loop) return *times;
  }
  loops_.emplace_back(&loop, std::make_unique<HandshakeTimes>());
  return *loops_.back().second;
}

std::vector<HandshakeFigures> HandshakeTimesOfLoops::Read() const {
  std::vector<HandshakeFigures> read;
  MutexLock lock(mutex_);
  for (std::size_t index = 0; index < HandshakeTimes::kCombinations; ++index) {
    bool any = false;
    HandshakeFigures sum = HandshakeTimes::Describe(index);
    for (const auto& [of, times] : loops_) {
      const HandshakeTimes::Cell* cell = times->cells_[index].load(std::memory_order_acquire);
      if (cell == nullptr) continue;
      any = true;
      for (std::size_t i = 0; i < sum.calls.size(); ++i) sum.calls[i] += cell->calls[i].value();
      sum.total_ns += cell->total_ns.value();
    }
    if (any) read.push_back(sum);
  }
  return read;
}

std::uint64_t HandshakeTimesOfLoops::left_out() const {
  std::uint64_t left_out = 0;
  MutexLock lock(mutex_);
  for (const auto& [of, times] : loops_) left_out += times->left_out();
  return left_out;
}

}  // namespace ktlsim::transport
