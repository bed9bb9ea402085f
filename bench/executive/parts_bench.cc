// What do the executive's parts cost by themselves: handles, the queue between threads, a
// processor's lane, a strand? Each is on the way of every call (async_bench.cc has the sum).
//
// Floors: BM_AtomicPair, one count up and down again, as every part here makes at least one;
// BM_SharedAtomicPair, the same count for all threads; BM_NewAndDelete, the allocation alone.
//
// `threads:n` rows run the same on n threads: what contention adds.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>

#include <benchmark/benchmark.h>

#include "kernel_sim/base/work_item.h"
#include "kernel_sim/executive/object_table.h"
#include "kernel_sim/executive/request.h"
#include "kernel_sim/executive/strand.h"

namespace ktlsim::executive {
namespace {

ObjectTable& Table() {
  static auto* const table = new ObjectTable();
  return *table;
}

ObjectTable::Handle Insert() {
  std::unique_ptr<Object> object = std::make_unique<Object>();
  const ObjectTable::Handle handle = Table().Insert(object);
  if (handle == 0) std::abort();
  return handle;
}

void Close(ObjectTable::Handle handle) {
  Object* object = nullptr;
  if (!Table().Close(handle, &object)) std::abort();
  object->Release();
}

void BM_AtomicPair(benchmark::State& state) {
  alignas(64) std::atomic<std::uint64_t> count{0};
  for (auto _ : state) {
    count.fetch_add(1, std::memory_order_acq_rel);
    count.fetch_sub(1, std::memory_order_acq_rel);
  }
}
BENCHMARK(BM_AtomicPair);
BENCHMARK(BM_AtomicPair)->Threads(1)->Threads(2)->UseRealTime();

void BM_SharedAtomicPair(benchmark::State& state) {
  alignas(64) static std::atomic<std::uint64_t> count{0};
  for (auto _ : state) {
    count.fetch_add(1, std::memory_order_acq_rel);
    count.fetch_sub(1, std::memory_order_acq_rel);
  }
}
BENCHMARK(BM_SharedAtomicPair)->Threads(1)->Threads(2)->UseRealTime();

void BM_NewAndDelete(benchmark::State& state) {
  for (auto _ : state) {
    std::unique_ptr<Object> object = std::make_unique<Object>();
    benchmark::DoNotOptimize(object);
  }
}
BENCHMARK(BM_NewAndDelete)->Threads(1)->Threads(2)->UseRealTime();

// Every call that names a context does one of these: look up, and release the reference.
void BM_HandleLookup(benchmark::State& state) {
  const ObjectTable::Handle handle = Insert();
  for (auto _ : state) Table().Lookup(handle)->Release();
  Close(handle);
}
BENCHMARK(BM_HandleLookup)->Threads(1)->Threads(2)->UseRealTime();

// The same handle for all threads: two directions of one connection on two processors.
void BM_SharedHandleLookup(benchmark::State& state) {
  static std::atomic<ObjectTable::Handle> shared{0};
  if (state.thread_index() == 0) shared = Insert();
  for (auto _ : state) Table().Lookup(shared.load(std::memory_order_relaxed))->Release();
  if (state.thread_index() == 0) Close(shared);
}
BENCHMARK(BM_SharedHandleLookup)->Threads(2)->UseRealTime();

// The object's own allocation is part of it.
void BM_HandleCreateAndFree(benchmark::State& state) {
  for (auto _ : state) Close(Insert());
}
BENCHMARK(BM_HandleCreateAndFree)->Threads(1)->Threads(2)->UseRealTime();

// A processor's lane: linked through the request, one thread.
void BM_Lane(benchmark::State& state) {
  Request request;
  Request::Queue lane;
  for (auto _ : state) {
    lane.PushBack(request);
    benchmark::DoNotOptimize(lane.PopFront());
  }
}
BENCHMARK(BM_Lane);

// Free, taken and left: what a strand costs a connection that has one call at a time.
void BM_StrandUncontended(benchmark::State& state) {
  Strand strand;
  Request request;
  for (auto _ : state) {
    if (strand.Enter(request) != Strand::Entry::kFirst) std::abort();
    if (strand.Leave() != nullptr) std::abort();
  }
}
BENCHMARK(BM_StrandUncontended);

// A second call waits for the first each time.
void BM_StrandQueued(benchmark::State& state) {
  Strand strand;
  Request requests[2];
  for (auto _ : state) {
    if (strand.Enter(requests[0]) != Strand::Entry::kFirst) std::abort();
    if (strand.Enter(requests[1]) != Strand::Entry::kWaits) std::abort();
    if (strand.Leave() != &requests[1] || strand.Leave() != nullptr) std::abort();
  }
}
BENCHMARK(BM_StrandQueued);

struct Item : WorkItem {
  Item() : WorkItem([](WorkItem&) {}) {}
};

// The queue into a processor: put one in, take one out, on one thread.
void BM_PostedWork(benchmark::State& state) {
  WorkQueue queue;
  Item item;
  for (auto _ : state) {
    benchmark::DoNotOptimize(queue.Push(item));
    benchmark::DoNotOptimize(queue.TakeAll());
  }
}
BENCHMARK(BM_PostedWork);

// The same with two producers, while a third thread takes out all items. Each producer waits for
// its item to be taken before it puts it in again.
void BM_PostedWorkContended(benchmark::State& state) {
  struct Marked : WorkItem {
    Marked()
        : WorkItem([](WorkItem& item) {
            static_cast<Marked&>(item).queued.store(false, std::memory_order_release);
          }) {}
    alignas(64) std::atomic<bool> queued{false};
  };
  static WorkQueue queue;
  static std::atomic<bool> stop{false};
  static std::thread consumer;
  if (state.thread_index() == 0) {
    stop = false;
    consumer = std::thread([] {
      while (!stop.load(std::memory_order_relaxed) || !queue.empty()) {
        for (WorkItem* item = queue.TakeAll(); item != nullptr;) {
          WorkItem* following = WorkQueue::Next(*item);
          item->Run();
          item = following;
        }
      }
    });
  }
  Marked items[64];
  std::size_t at = 0;
  for (auto _ : state) {
    Marked& item = items[at++ % 64];
    while (item.queued.load(std::memory_order_acquire)) std::this_thread::yield();
    item.queued.store(true, std::memory_order_relaxed);
    benchmark::DoNotOptimize(queue.Push(item));
  }
  for (Marked& item : items) {
    while (item.queued.load(std::memory_order_acquire)) std::this_thread::yield();
  }
  if (state.thread_index() == 0) {
    stop = true;
    consumer.join();
  }
}
BENCHMARK(BM_PostedWorkContended)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace ktlsim::executive
