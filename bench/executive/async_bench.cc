// What does a call cost from its submission to its callback, when the work itself is nothing?
//
// BM_ChainOnProcessor: submitted on a processor, the next call from the callback of the one before.
// BM_ForeignThread: submitted by a thread outside the library that spins for its callback, with a
// processor that is kept awake or left to fall asleep between calls. `mode` 0 is a notification
// thread, 1 on the processor; `awake` 1 keeps a work item circling on the processor's ring.
// BM_ProcessorToProcessor: submitted on one processor, run on another, notified back on the first:
// two hops a call. Its floor is BM_WakeRoundTrip (io/wake_bench.cc), two bare wake-ups.
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include <benchmark/benchmark.h>

#include "io/uring.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/executive/executive.h"

namespace ktlsim::executive {
namespace {

RunResult Nothing(Request&) { return RunResult::kCompleted; }

class Kernel {
 public:
  explicit Kernel(unsigned processors = 1) : executive_(contexts_) {
    ExecutiveOptions options;
    options.processors = processors;
    options.ring_factory = [] { return io::CreateUring(io::UringOptions()); };
    running_ = executive_.Start(options).ok();
  }
  ~Kernel() {
    if (running_) executive_.Stop();
  }
  bool running() const { return running_; }
  AsyncContextTable& contexts() { return contexts_; }
  io::Ring& ring(std::size_t processor = 0) { return executive_.processors()[processor]->ring(); }

  bool Submit(AsyncHandle handle, Strand* strand = nullptr) {
    Request* request = nullptr;
    if (contexts_.BeginSubmit(handle, true, &request) != AsyncResult::kOk) return false;
    request->Prepare(Lane::kRecord, &Nothing, strand, {});
    return executive_.Submit(*request) == Executive::Admission::kAccepted;
  }

 private:
  MonotonicClock clock_;
  AsyncContextTable contexts_{clock_};
  Executive executive_;
  bool running_ = false;
};

// Submits `left` calls one after another, each from the callback of the one before.
struct Chain : WorkItem {
  Chain(Kernel& which, NotifyMode mode)
      : WorkItem([](WorkItem& item) { static_cast<Chain&>(item).Next(); }),
        kernel(which),
        handle(which.contexts().Create()) {
    kernel.contexts().SetMode(handle, mode);
    kernel.contexts().SetCallback(handle, &Chain::Notify, this);
  }
  ~Chain() { kernel.contexts().Free(handle); }

  static void Notify(_SspiAsyncContext*, void* data) {
    auto& self = *static_cast<Chain*>(data);
    if (--self.left == 0) {
      self.ended.store(1, std::memory_order_release);
      self.ended.notify_one();
      return;
    }
    self.Next();
  }
  void Next() {
    kernel.contexts().Reinit(handle);
    if (!kernel.Submit(handle, strand)) std::abort();
  }
  // Posts the chain to `processor` and waits for its end.
  void Run(std::int64_t calls, std::size_t processor = 0) {
    left = calls;
    ended.store(0);
    kernel.ring(processor).Post(*this);
    ended.wait(0, std::memory_order_acquire);
  }

  Kernel& kernel;
  const AsyncHandle handle;
  Strand* strand = nullptr;
  std::int64_t left = 0;
  std::atomic<int> ended{0};
};

void BM_ChainOnProcessor(benchmark::State& state) {
  constexpr std::int64_t kCalls = 10000;
  Kernel kernel;
  if (!kernel.running()) return state.SkipWithError("no ring");
  {
    Chain chain(kernel, state.range(0) == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor);
    for (auto iteration : state) {
      chain.Run(kCalls);
    }
  }
  state.SetItemsProcessed(state.iterations() * kCalls);
  state.counters["per_call"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kCalls),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_ChainOnProcessor)->ArgName("mode")->Arg(1)->Arg(0)->UseRealTime();

// The floor of the chain: a work item that posts itself on the same ring as often.
void BM_BareRingChain(benchmark::State& state) {
  struct Item : WorkItem {
    explicit Item(io::Ring& which)
        : WorkItem([](WorkItem& item) {
            auto& self = static_cast<Item&>(item);
            if (--self.left != 0) return self.ring.Post(item);
            self.ended.store(1, std::memory_order_release);
            self.ended.notify_one();
          }),
          ring(which) {}
    io::Ring& ring;
    std::int64_t left = 0;
    std::atomic<int> ended{0};
  };
  constexpr std::int64_t kCalls = 10000;
  Kernel kernel;
  if (!kernel.running()) return state.SkipWithError("no ring");
  Item item(kernel.ring());
  for (auto iteration : state) {
    item.left = kCalls;
    item.ended.store(0);
    kernel.ring().Post(item);
    item.ended.wait(0, std::memory_order_acquire);
  }
  state.SetItemsProcessed(state.iterations() * kCalls);
}
BENCHMARK(BM_BareRingChain)->UseRealTime();

// Keeps a processor from falling asleep.
struct Circling : WorkItem {
  explicit Circling(io::Ring& which)
      : WorkItem([](WorkItem& item) {
          auto& self = static_cast<Circling&>(item);
          if (self.stop.load(std::memory_order_relaxed)) {
            self.ended.store(true, std::memory_order_release);
          } else {
            self.ring.Post(item);
          }
        }),
        ring(which) {}
  void Stop() {
    stop.store(true);
    while (!ended.load(std::memory_order_acquire)) std::this_thread::yield();
  }

  io::Ring& ring;
  std::atomic<bool> stop{false};
  std::atomic<bool> ended{false};
};

void BM_ForeignThread(benchmark::State& state) {
  Kernel kernel;
  if (!kernel.running()) return state.SkipWithError("no ring");
  const bool awake = state.range(1) != 0;
  Circling circling(kernel.ring());
  if (awake) kernel.ring().Post(circling);
  std::atomic<std::uint64_t> callbacks{0};
  const AsyncHandle handle = kernel.contexts().Create();
  kernel.contexts().SetMode(handle,
                            state.range(0) == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor);
  kernel.contexts().SetCallback(
      handle,
      [](_SspiAsyncContext*, void* data) {
        static_cast<std::atomic<std::uint64_t>*>(data)->fetch_add(1, std::memory_order_release);
      },
      &callbacks);
  std::uint64_t submitted = 0;
  for (auto iteration : state) {
    kernel.contexts().Reinit(handle);
    if (!kernel.Submit(handle)) {
      state.SkipWithError("refused");
      break;
    }
    ++submitted;
    while (callbacks.load(std::memory_order_acquire) != submitted) {
    }
  }
  if (awake) circling.Stop();
  kernel.contexts().Free(handle);
}
BENCHMARK(BM_ForeignThread)
    ->ArgNames({"mode", "awake"})
    ->ArgsProduct({{1, 0}, {1, 0}})
    ->UseRealTime();

void BM_ProcessorToProcessor(benchmark::State& state) {
  constexpr std::int64_t kCalls = 1000;
  const bool awake = state.range(0) != 0;
  Kernel kernel(2);
  if (!kernel.running()) return state.SkipWithError("no ring");
  Circling circling[] = {Circling(kernel.ring(0)), Circling(kernel.ring(1))};
  {
    Strand strand;
    Chain chain(kernel, NotifyMode::kOnProcessor);
    chain.strand = &strand;
    // The first call makes the processor that submits it the strand's home.
    chain.Run(1, 1);
    if (awake) {
      for (std::size_t i = 0; i < 2; ++i) kernel.ring(i).Post(circling[i]);
    }
    for (auto iteration : state) chain.Run(kCalls, 0);
    if (awake) {
      for (Circling& one : circling) one.Stop();
    }
  }
  state.counters["per_call"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kCalls),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_ProcessorToProcessor)->ArgName("awake")->Arg(1)->Arg(0)->UseRealTime();

}  // namespace
}  // namespace ktlsim::executive
