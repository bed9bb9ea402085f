// CallProbe: the stages of a call, for who watches from outside: records of a trace (call_trace.h
// of base), and USDT probes, which cost a nop each until a tracer asks for them.
//
// The probes, of provider "ktlsim": call_accept, call_start, call_publish, call_callback. Arguments
// of each: the address of the async context's slot (0: a synchronous call), the lane (0 record, 1
// handshake), the number of the processor; call_publish has the status as a fourth one.
#pragma once

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define KTLSIM_HAS_PROBES 1
#else
#define KTLSIM_HAS_PROBES 0
#define DTRACE_PROBE3(provider, name, a, b, c) ((void)0)
#define DTRACE_PROBE4(provider, name, a, b, c, d) ((void)0)
#endif

#include <cstdint>
#include <utility>

#include "kernel_sim/base/call_trace.h"
#include "kernel_sim/executive/call_clock.h"
#include "kernel_sim/executive/processor.h"
#include "kernel_sim/executive/request.h"

namespace ktlsim::executive {

class CallProbe {
 public:
  CallProbe() = default;
  // `trace` may be null; it outlives the calls.
  explicit CallProbe(CallTrace* trace) : trace_(trace) {}

  // On the thread that submits the call, before another one can see it. `handle`: of its async
  // context, or 0; called only for a call of the sample.
  template <typename Handle>
  void Accepted(Request& request, const Processor& at, const CallClock& clock,
                Handle handle) const {
    DTRACE_PROBE3(ktlsim, call_accept, request.context(), static_cast<int>(request.lane()),
                  at.index());
    if (trace_ == nullptr || !trace_->Wants()) return;
    CallRecord* const record = trace_->Take(at.index());
    if (record == nullptr) return;
    request.course().set_record(record->place());
    record->accepted_ns = clock.NowNs();
    record->async_context = handle();
    record->order = request.strand();
    record->lane = NameOf(request.lane());
    const Processor* const from = Processor::Current();
    record->submitter =
        from != nullptr ? static_cast<std::uint16_t>(from->index()) : CallRecord::kForeign;
    record->processor = static_cast<std::uint16_t>(at.index());
  }

  // Before the first run, on its processor.
  void Started(Request& request, const CallClock& clock) const {
    DTRACE_PROBE3(ktlsim, call_start, request.context(), static_cast<int>(request.lane()),
                  request.processor()->index());
    const std::uint32_t place = request.course().record();
    if (place == 0) return;
    CallRecord& record = trace_->At(place);
    record.started_ns = clock.NowNs();
    record.processor = static_cast<std::uint16_t>(request.processor()->index());
  }

  // The outcome is known. The record, if there is one, is the caller's until CallbackComes.
  CallRecord* Published(Request& request, const CallClock& clock) const {
    DTRACE_PROBE4(ktlsim, call_publish, request.context(), static_cast<int>(request.lane()),
                  request.processor()->index(), request.status());
    CallRecord* const record = TakeRecord(request);
    if (record == nullptr) return nullptr;
    record->published_ns = clock.NowNs();
    record->ended_ns = record->published_ns;
    record->status = request.status();
    return record;
  }
  // No callback: the record is done with. It may be null.
  void End(CallRecord* record) const {
    if (record != nullptr) trace_->Finish(*record);
  }
  static void CallbackComes(Request& request, CallRecord* record) {
    if (record != nullptr) request.course().set_record(record->place());
  }

  // On the thread of the callback, before it is entered. The record is for CallbackEnded.
  CallRecord* CallbackDue(Request& request, const CallClock& clock) const {
    DTRACE_PROBE3(ktlsim, call_callback, request.context(), static_cast<int>(request.lane()),
                  request.processor()->index());
    CallRecord* const record = TakeRecord(request);
    if (record == nullptr) return nullptr;
    record->callback_ns = clock.NowNs();
    record->on_processor = Processor::Current() != nullptr;
    return record;
  }
  void CallbackEnded(CallRecord* record, const CallClock& clock) const {
    if (record == nullptr) return;
    record->ended_ns = clock.NowNs();
    trace_->Finish(*record);
  }

 private:
  // The request has none any more, and may be reused.
  CallRecord* TakeRecord(Request& request) const {
    const std::uint32_t place = request.course().record();
    if (place == 0) return nullptr;
    request.course().set_record(0);
    return &trace_->At(place);
  }

  CallTrace* trace_ = nullptr;
};

}  // namespace ktlsim::executive
