// Helpers of the executive's tests: a started executive, a caller with its async context, and
// things to wait for.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/uring.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/work_item.h"
#include "kernel_sim/executive/executive.h"

namespace ktlsim::executive {

// Counts up; WaitFor blocks until the count is reached. Any thread.
class Counter {
 public:
  void Add() {
    value_.fetch_add(1, std::memory_order_acq_rel);
    value_.notify_all();
  }
  std::uint32_t value() const { return value_.load(std::memory_order_acquire); }
  void WaitFor(std::uint32_t wanted) const {
    for (std::uint32_t now = value(); now < wanted; now = value()) {
      value_.wait(now, std::memory_order_acquire);
    }
  }

 private:
  std::atomic<std::uint32_t> value_{0};
};

// Closed until Open, and open from then on.
class Gate {
 public:
  void Open() { opened_.Add(); }
  void Pass() const { opened_.WaitFor(1); }
  bool is_open() const { return opened_.value() != 0; }

 private:
  Counter opened_;
};

// For conditions without an event of their own, such as a status that only polling shows.
template <typename Condition>
void YieldUntil(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

class FakeClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return now_ns_.load(std::memory_order_relaxed); }
  void Advance(std::uint64_t ns) { now_ns_.fetch_add(ns, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> now_ns_{kNsPerSecond};
};

inline Result<std::unique_ptr<io::Ring>> MakeTestRing() {
  io::UringOptions options;
  options.receive_buffers = 8;  // nothing is received here, and rings are made by the hundred
  return io::CreateUring(options);
}

inline ExecutiveOptions MakeOptions(Placement placement, unsigned processors) {
  ExecutiveOptions options;
  options.placement = placement;
  options.processors = processors;
  options.ring_factory = &MakeTestRing;
  return options;
}

// A started executive with its table of async contexts; stops at the end.
class Kernel {
 public:
  explicit Kernel(const ExecutiveOptions& options) : executive_(contexts_) {
    const Status status = executive_.Start(options);
    EXPECT_TRUE(status.ok()) << status.ToString() << ' ' << io::LastProbeText();
    running_ = status.ok();
  }
  ~Kernel() { Stop(); }

  void Stop() {
    if (std::exchange(running_, false)) executive_.Stop();
  }
  void Start(const ExecutiveOptions& options) {
    running_ = executive_.Start(options).ok();
    EXPECT_TRUE(running_);
  }

  AsyncContextTable& contexts() { return contexts_; }
  Executive& executive() { return executive_; }
  Processor& processor(std::size_t index) { return *executive_.processors().at(index); }

  // Runs `routine` on the thread of a processor, from its ring, and waits for its end.
  void RunOn(std::size_t index, std::function<void()> routine) {
    struct Posted : WorkItem {
      explicit Posted(std::function<void()> what)
          : WorkItem([](WorkItem& item) {
              auto& self = static_cast<Posted&>(item);
              self.routine();
              self.ended.Add();
            }),
            routine(std::move(what)) {}
      std::function<void()> routine;
      Counter ended;
    } posted(std::move(routine));
    processor(index).ring().Post(posted);
    posted.ended.WaitFor(1);
  }

 private:
  MonotonicClock clock_;
  AsyncContextTable contexts_{clock_};
  Executive executive_;
  bool running_ = false;
};

// What a request does. Called again after each resumption.
using Body = std::function<RunResult(Request&)>;

inline RunResult RunBody(Request& request) { return request.payload<Body>()(request); }

// A body that ends with `status`, after `work`.
inline Body Completing(std::int32_t status, std::function<void()> work = {}) {
  return [status, work = std::move(work)](Request& request) {
    if (work) work();
    request.set_status(status);
    return RunResult::kCompleted;
  };
}

// How one call is made.
struct How {
  Lane lane = Lane::kHandshake;
  Strand* strand = nullptr;
  Executive::Bound bound = Executive::Bound::kBounded;
};

// Submits one call on `handle`; a refused call is abandoned, as in the SSPI layer.
inline Executive::Admission SubmitOn(Kernel& kernel, AsyncHandle handle, Body body,
                                     const How& how = {}) {
  Request* request = nullptr;
  const AsyncResult begun = kernel.contexts().BeginSubmit(handle, false, &request);
  EXPECT_EQ(begun, AsyncResult::kOk);
  if (begun != AsyncResult::kOk) return Executive::Admission::kStopping;
  request->Prepare(how.lane, &RunBody, how.strand, {});
  request->EmplacePayload<Body>(std::move(body));
  const Executive::Admission admission = kernel.executive().Submit(*request, how.bound);
  if (admission != Executive::Admission::kAccepted) kernel.contexts().AbandonSubmit(*request);
  return admission;
}

// One async context with a callback that counts. `told` is called first, on the thread and at the
// level of the callback. Freed by the destructor, so it must outlive its last call's callback.
class Caller {
 public:
  explicit Caller(Kernel& kernel, NotifyMode mode = NotifyMode::kPool,
                  std::function<void(AsyncHandle)> told = {})
      : kernel_(kernel), told_(std::move(told)), handle_(kernel.contexts().Create()) {
    EXPECT_NE(handle_, 0U);
    EXPECT_EQ(contexts().SetMode(handle_, mode), AsyncResult::kOk);
    EXPECT_EQ(contexts().SetCallback(handle_, &Caller::Notify, this), AsyncResult::kOk);
  }
  ~Caller() {
    if (handle_ != 0) contexts().Free(handle_);
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  AsyncHandle handle() const { return handle_; }
  // The test has freed the context itself.
  void Forget() { handle_ = 0; }

  Executive::Admission Submit(Body body, const How& how = {}) {
    return SubmitOn(kernel_, handle_, std::move(body), how);
  }
  Executive::Admission Resubmit(Body body, const How& how = {}) {
    EXPECT_EQ(contexts().Reinit(handle_), AsyncResult::kOk);
    return Submit(std::move(body), how);
  }
  void WaitForCallbacks(std::uint32_t wanted = 1) const { callbacks_.WaitFor(wanted); }
  std::uint32_t callbacks() const { return callbacks_.value(); }
  // -1 while there is no final status.
  std::int32_t status() const {
    std::int32_t status = 0;
    return contexts().GetStatus(handle_, &status) == AsyncResult::kOk ? status : -1;
  }

 private:
  AsyncContextTable& contexts() const { return kernel_.contexts(); }

  static void Notify(_SspiAsyncContext* context, void* data) {
    auto* self = static_cast<Caller*>(data);
    if (self->told_) self->told_(reinterpret_cast<AsyncHandle>(context));
    self->callbacks_.Add();  // last: a thread that waits for it may destroy the caller
  }

  Kernel& kernel_;
  std::function<void(AsyncHandle)> told_;
  AsyncHandle handle_;
  Counter callbacks_;
};

// Suspends the requests that pass through it until the test resumes them.
class Suspender {
 public:
  // Ends with `status` after the resumption.
  Body Suspending(std::int32_t status) {
    return [this, status](Request& request) {
      if (!request.resumed()) {
        token_ = ResumeToken(request);
        suspended_.Add();
        return RunResult::kSuspended;
      }
      request.set_status(status);
      return RunResult::kCompleted;
    };
  }
  ResumeToken WaitForToken(std::uint32_t count = 1) {
    suspended_.WaitFor(count);
    return token_;
  }

 private:
  ResumeToken token_;
  Counter suspended_;
};

struct Shape {
  Placement placement;
  unsigned processors;
};

inline std::string NameOf(const Shape& shape) {
  return (shape.placement == Placement::kInline ? "Inline" : "Pool") +
         std::to_string(shape.processors);
}
inline std::string NameOf(NotifyMode mode) {
  return mode == NotifyMode::kPool ? "OnThread" : "OnProcessor";
}
inline void PrintTo(const Shape& shape, std::ostream* out) { *out << NameOf(shape); }
inline void PrintTo(NotifyMode mode, std::ostream* out) { *out << NameOf(mode); }

inline constexpr Shape kShapes[] = {
    {Placement::kInline, 1}, {Placement::kInline, 2}, {Placement::kPool, 1}, {Placement::kPool, 2}};

// Both placements, with one and two processors.
class ShapeTest : public testing::TestWithParam<Shape> {
 protected:
  Kernel kernel_{MakeOptions(GetParam().placement, GetParam().processors)};
};

inline const auto kEveryShape = testing::ValuesIn(kShapes);
inline constexpr auto kShapeName = [](const testing::TestParamInfo<Shape>& shape) {
  return NameOf(shape.param);
};

}  // namespace ktlsim::executive
