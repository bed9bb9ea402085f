// Small scenes of the asynchronous contract: some legs on one security context, and what other
// threads do with it at the same time. A `Scene` plays them: in every order on one thread
// (exhaustive_schedule_test) or on real threads (threaded_scenes_test).
//
// It has NewLeg, NewLegWithoutContext, Suspend, InterruptAt and Limit. These act at once: Submit,
// SubmitAndWait (the synchronous function), Cancel, CancelIfSubmitted, Free, Delete, Resume,
// PassLimit, StopLibrary, StartLibrary and RestartLibrary. Once(name, act) is for what another
// thread does at some time.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <array>
#include <cstdint>

namespace ktlsim::test {

// What a leg's callback does with its async context.
enum class Afterwards : std::uint8_t {
  kKeep,
  kFree,
  kReinit,
  kWakeAnother,  // a thread that frees it, or submits another leg with it, during the callback
};

template <typename Scene>
struct SceneCase {
  const char* name;
  void (*arrange)(Scene& scene);
  // The least number of orders in which it can be played: fewer would mean that something keeps the
  // steps from interleaving.
  std::uint64_t schedules_min;
};

template <typename Scene>
constexpr auto Scenes() {
  return std::array{
      SceneCase<Scene>{"TwoSubmittersAndADelete",
                       [](Scene& scene) {
                         auto& first = scene.NewLeg();
                         auto& second = scene.NewLeg(KTLSIM_NOTIFY_ON_PROCESSOR);
                         first.afterwards = Afterwards::kFree;
                         scene.Once("submit first", [&] { scene.Submit(first); });
                         scene.Once("submit second", [&] { scene.Submit(second); });
                         scene.Once("delete", [&] { scene.Delete(); });
                       },
                       50},
      SceneCase<Scene>{"SubmitFreeInFlightAndCancel",
                       [](Scene& scene) {
                         auto& leg = scene.NewLeg();
                         scene.Submit(leg);
                         scene.Once("free", [&] { scene.Free(leg); });
                         scene.Once("cancel", [&] { scene.Cancel(leg); });
                         scene.Once("cancel again", [&] { scene.Cancel(leg); });
                         scene.Once("delete", [&] { scene.Delete(); });
                       },
                       100},
      SceneCase<Scene>{"TurnCancelAndTimer",
                       [](Scene& scene) {
                         auto& front = scene.NewLeg();
                         auto& limited = scene.NewLeg();
                         scene.Limit(limited);
                         scene.Submit(front);
                         scene.Once("submit", [&] { scene.Submit(limited); });
                         scene.Once("cancel", [&] { scene.Cancel(limited); });
                         scene.Once("clock", [&] { scene.PassLimit(); });
                       },
                       100},
      SceneCase<Scene>{"SuspendedLegResumeCancelAndDelete",
                       [](Scene& scene) {
                         scene.Suspend(1);
                         auto& suspended = scene.NewLeg();
                         auto& behind = scene.NewLeg();
                         suspended.afterwards = Afterwards::kFree;
                         scene.Submit(suspended);
                         scene.Submit(behind);
                         scene.Once("resume", [&] { scene.Resume(); });
                         scene.Once("cancel behind", [&] { scene.Cancel(behind); });
                         scene.Once("delete", [&] { scene.Delete(); });
                       },
                       100},
      SceneCase<Scene>{"SuspendedLegResumeStopAndStart",
                       [](Scene& scene) {
                         scene.Suspend(1);
                         auto& suspended = scene.NewLeg();
                         auto& after = scene.NewLeg();
                         scene.Submit(suspended);
                         scene.Once("submit", [&] { scene.Submit(after); });
                         scene.Once("resume", [&] { scene.Resume(); });
                         scene.Once("stop", [&] { scene.StopLibrary(); });
                         scene.Once("start", [&] { scene.StartLibrary(); });
                       },
                       100},
      // A cancel, or a limit, that comes between a call's acceptance and its place in the order.
      SceneCase<Scene>{"SubmissionInterruptedByCancelAndTimer",
                       [](Scene& scene) {
                         scene.Suspend(1);
                         scene.InterruptAt("async_accept");
                         auto& suspended = scene.NewLeg();
                         auto& limited = scene.NewLeg();
                         auto& behind = scene.NewLeg();
                         limited.afterwards = Afterwards::kReinit;
                         scene.Limit(limited);
                         scene.Submit(suspended);
                         scene.Once("submit", [&] { scene.Submit(limited); });
                         scene.Once("submit behind", [&] { scene.Submit(behind); });
                         scene.Once("cancel", [&] { scene.Cancel(limited); });
                         scene.Once("clock", [&] { scene.PassLimit(); });
                       },
                       1000},
      // The callback's last act wakes a thread that takes over the async context while the callback
      // is still returning.
      SceneCase<Scene>{"WokenThreadFreesOrSubmitsAgainUnderTheCallback",
                       [](Scene& scene) {
                         auto& freed = scene.NewLeg();
                         auto& first = scene.NewLeg();
                         auto& next = scene.NewLegWithoutContext();
                         freed.afterwards = Afterwards::kWakeAnother;
                         first.afterwards = Afterwards::kWakeAnother;
                         first.next = &next;
                         next.afterwards = Afterwards::kReinit;
                         scene.Submit(freed);
                         scene.Submit(first);
                         scene.Once("cancel", [&] { scene.CancelIfSubmitted(next); });
                       },
                       1000},
      SceneCase<Scene>{"CallbackOnTheProcessorFreesOrReinitialises",
                       [](Scene& scene) {
                         auto& freed = scene.NewLeg(KTLSIM_NOTIFY_ON_PROCESSOR);
                         auto& again = scene.NewLeg(KTLSIM_NOTIFY_ON_PROCESSOR);
                         freed.afterwards = Afterwards::kFree;
                         again.afterwards = Afterwards::kReinit;
                         scene.Once("submit freed", [&] { scene.Submit(freed); });
                         scene.Once("submit again", [&] { scene.Submit(again); });
                         scene.Once("delete", [&] { scene.Delete(); });
                       },
                       20},
      SceneCase<Scene>{"TwoSubmittersDeleteCancelAndTimer",
                       [](Scene& scene) {
                         auto& first = scene.NewLeg();
                         auto& second = scene.NewLeg();
                         first.afterwards = Afterwards::kFree;
                         scene.Limit(second);
                         scene.Once("submit first", [&] { scene.Submit(first); });
                         scene.Once("submit second", [&] { scene.Submit(second); });
                         scene.Once("cancel", [&] { scene.Cancel(second); });
                         scene.Once("delete", [&] { scene.Delete(); });
                         scene.Once("clock", [&] { scene.PassLimit(); });
                       },
                       1000},
      // A stop between the submission's look-up of the executive and its acceptance.
      SceneCase<Scene>{"SubmissionInterruptedByAStopAndAStart",
                       [](Scene& scene) {
                         scene.InterruptAt("async_claim");
                         auto& leg = scene.NewLeg();
                         leg.afterwards = Afterwards::kFree;
                         scene.Once("submit", [&] { scene.Submit(leg); });
                         scene.Once("stop", [&] { scene.StopLibrary(); });
                         scene.Once("start", [&] { scene.StartLibrary(); });
                         scene.Once("delete", [&] { scene.Delete(); });
                       },
                       100},
      // A stop and a start there, at once: the call is accepted by another start than the one that
      // it found.
      SceneCase<Scene>{"SubmissionInterruptedByARestart",
                       [](Scene& scene) {
                         scene.InterruptAt("async_claim");
                         auto& leg = scene.NewLeg();
                         leg.afterwards = Afterwards::kFree;
                         scene.Once("submit", [&] { scene.Submit(leg); });
                         scene.Once("restart", [&] { scene.RestartLibrary(); });
                         scene.Once("delete", [&] { scene.Delete(); });
                       },
                       50},
      SceneCase<Scene>{"SynchronousCallInterruptedByARestart",
                       [](Scene& scene) {
                         scene.InterruptAt("request_take");
                         auto& leg = scene.NewLeg();
                         scene.Once("call", [&] { scene.SubmitAndWait(); });
                         scene.Once("submit", [&] { scene.Submit(leg); });
                         scene.Once("restart", [&] { scene.RestartLibrary(); });
                       },
                       100},
      SceneCase<Scene>{"TwoSubmittersACancelAStopAndAStart",
                       [](Scene& scene) {
                         auto& first = scene.NewLeg();
                         auto& second = scene.NewLeg(KTLSIM_NOTIFY_ON_PROCESSOR);
                         scene.Submit(first);
                         scene.Once("submit", [&] { scene.Submit(second); });
                         scene.Once("cancel", [&] { scene.Cancel(first); });
                         scene.Once("stop", [&] { scene.StopLibrary(); });
                         scene.Once("start", [&] { scene.StartLibrary(); });
                       },
                       100},
  };
}

}  // namespace ktlsim::test
