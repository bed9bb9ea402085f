// SeededScheduler: runs on one thread, in an order drawn from a seed, what would otherwise be
// threads: processors, notification threads, actors that stand for foreign threads, and the rings
// of peers on the network.
//
// The same seed gives the same schedule, step by step, as long as the steps themselves are
// deterministic: rings in memory with virtual time, scripted packages, seeded randomness. The trace
// names every choice, so that two runs can be compared and a failing seed replayed.
//
// What a newcomer gets wrong: an actor is not preempted. To let others run in between, it has to do
// one thing per call and return.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "io/seeded_random.h"
#include "kernel_sim/executive/executive.h"

namespace ktlsim::executive {

class SeededScheduler {
 public:
  // What the scheduler asks of the simulated machine below the executive.
  struct World {
    // True: `ring` has something to deliver now. Empty: every ring may always be turned.
    std::function<bool(io::Ring& ring)> ready;
    // Called when nothing is ready: moves virtual time to the next event. False: there is none.
    // Empty: as false.
    std::function<bool()> advance_time;
  };
  // One step of a foreign thread, at passive level. False: it has ended.
  using Actor = std::function<bool()>;

  SeededScheduler(std::uint64_t seed, World world);

  // ExecutiveOptions::step of the executive that is to run here.
  std::function<bool()> AsStep() {
    return [this] { return Step(); };
  }
  // After Executive::Start, before the first Step that should run it.
  void Attach(Executive& executive) { executive_ = &executive; }
  // `name` is a literal.
  void AddActor(const char* name, Actor actor);
  // A ring that belongs to no processor, such as a peer's: turned when it is ready. It lives until
  // the last Step. `name` is a literal.
  void AddRing(const char* name, io::Ring& ring) { rings_.push_back({name, &ring}); }
  // Chooses instead of the seed which of `count` possible steps is next, for trying all of them.
  using Chooser = std::function<std::size_t(std::size_t count)>;
  void SetChooser(Chooser chooser) { chooser_ = std::move(chooser); }
  // `check` is called after every step, to test invariants.
  void SetCheck(std::function<void()> check) { check_ = std::move(check); }

  // Takes one of the possible steps. False: there is none, even at a later time.
  bool Step();
  // Steps until nothing can run. False: that took more than `steps_max` steps, so something
  // probably never ends.
  bool Run(std::uint64_t steps_max);

  io::SeededRandom& random() { return random_; }
  std::uint64_t steps() const { return steps_; }
  // A hash of every choice so far, and the newest choices in words.
  std::uint64_t trace_hash() const { return trace_hash_; }
  std::string TraceText() const;

 private:
  struct Choice {
    enum class Kind : std::uint8_t { kProcessor, kNotification, kActor, kRing } kind;
    std::size_t index;
  };
  struct NamedActor {
    const char* name;
    Actor step;
    bool busy = false;  // waits inside a step, so it cannot take another one
  };

  struct NamedRing {
    const char* name;
    io::Ring* ring;
  };

  bool Ready(io::Ring& ring) const { return !world_.ready || world_.ready(ring); }
  void CollectChoices(std::vector<Choice>* choices);
  void Take(const Choice& choice);
  void Note(const char* what, std::size_t index);

  io::SeededRandom random_;
  const World world_;
  Executive* executive_ = nullptr;
  std::vector<NamedActor> actors_;
  std::vector<NamedRing> rings_;
  std::function<void()> check_;
  Chooser chooser_;
  std::uint64_t steps_ = 0;
  std::uint64_t trace_hash_ = 0xcbf29ce484222325;
  std::vector<std::string> newest_;
};

}  // namespace ktlsim::executive
