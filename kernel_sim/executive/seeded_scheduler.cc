#include "kernel_sim/executive/seeded_scheduler.h"

#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/thread_identity.h"

namespace ktlsim::executive {
namespace {

constexpr std::size_t kTraceLines = 4096;
// A step that waits calls the scheduler again. Deeper than this, something has gone wrong.
constexpr int kDepthMax = 64;

thread_local int depth = 0;

}  // namespace

SeededScheduler::SeededScheduler(std::uint64_t seed, World world)
    : random_(seed), world_(std::move(world)) {}

void SeededScheduler::AddActor(const char* name, Actor actor) {
  actors_.push_back({name, std::move(actor)});
}

void SeededScheduler::CollectChoices(std::vector<Choice>* choices) {
  if (executive_ != nullptr) {
    const auto& processors = executive_->processors();
    for (std::size_t i = 0; i < processors.size(); ++i) {
      // The current processor called this from a job that waits: it cannot run another one.
      if (processors[i].get() == Processor::Current()) continue;
      if (processors[i]->HasWork() || Ready(processors[i]->ring())) {
        choices->push_back({Choice::Kind::kProcessor, i});
      }
    }
    const std::size_t waiting = executive_->notification_pool().waiting();
    if (waiting != 0) choices->push_back({Choice::Kind::kNotification, 0});
  }
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    if (actors_[i].step && !actors_[i].busy) choices->push_back({Choice::Kind::kActor, i});
  }
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    if (Ready(*rings_[i].ring)) choices->push_back({Choice::Kind::kRing, i});
  }
}

void SeededScheduler::Note(const char* what, std::size_t index) {
  for (const char* c = what; *c != 0; ++c) {
    trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(*c)) * 0x100000001b3;
  }
  trace_hash_ = (trace_hash_ ^ index) * 0x100000001b3;
  if (newest_.size() < kTraceLines) newest_.emplace_back();
  newest_[steps_ % kTraceLines] = std::to_string(steps_) + " " + what + " " + std::to_string(index);
}

void SeededScheduler::Take(const Choice& choice) {
  switch (choice.kind) {
    case Choice::Kind::kProcessor:
      Note("processor", choice.index);
      executive_->processors()[choice.index]->Step();
      return;
    case Choice::Kind::kNotification:
      Note("notify", 0);
      executive_->notification_pool().DeliverOne();
      return;
    case Choice::Kind::kActor: {
      Note(actors_[choice.index].name, choice.index);
      // The vector may grow while the step runs.
      actors_[choice.index].busy = true;
      Actor step = std::move(actors_[choice.index].step);
      const ThreadIdentity::Scope own;
      const bool goes_on = step();
      actors_[choice.index].busy = false;
      if (goes_on) actors_[choice.index].step = std::move(step);
      return;
    }
    case Choice::Kind::kRing:
      Note(rings_[choice.index].name, choice.index);
      rings_[choice.index].ring->Turn(0);
      return;
  }
}

bool SeededScheduler::Step() {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  KTLSIM_CHECK(depth < kDepthMax);
  std::vector<Choice> choices;
  CollectChoices(&choices);
  if (choices.empty()) return world_.advance_time && world_.advance_time();
  const std::size_t chosen = chooser_ ? chooser_(choices.size()) : random_.Below(choices.size());
  const Choice choice = choices[chosen];
  ++depth;
  Take(choice);
  --depth;
  ++steps_;
  if (check_) check_();
  return true;
}

bool SeededScheduler::Run(std::uint64_t steps_max) {
  for (std::uint64_t i = 0; i < steps_max; ++i) {
    if (!Step()) return true;
  }
  return false;
}

std::string SeededScheduler::TraceText() const {
  std::string text;
  const std::size_t first = steps_ > newest_.size() ? steps_ % newest_.size() : 0;
  for (std::size_t i = 0; i < newest_.size(); ++i) {
    text += newest_[(first + i) % newest_.size()];
    text += '\n';
  }
  return text;
}

}  // namespace ktlsim::executive
