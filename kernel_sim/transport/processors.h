// The loops a path works on: those of the I/O processors of its role.
#pragma once

#include <string>
#include <vector>

#include "io/loop.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/base/work_item.h"
#include "kernel_sim/transport/stop_latch.h"

namespace ktlsim::transport {

// In order of the processors; an empty role means all. kContract: no processor has the role.
// kResource: the library cannot be started. Passive level.
Result<std::vector<io::Loop*>> LoopsOfRole(const std::string& role);

// Runs `function` on the loop's thread at dispatch level and waits for its end. Passive level, not
// on that thread.
template <typename Function>
void RunOnLoop(io::Loop& loop, Function function) {
  struct Item final : WorkItem {
    explicit Item(Function& wrapped)
        : WorkItem([](WorkItem& item) {
            auto& self = static_cast<Item&>(item);
            self.function();
            self.done.CountDown();
          }),
          function(wrapped) {}
    Function& function;
    StopLatch done{1};
  };
  Item item(function);
  loop.Post(item);
  item.done.Wait();
}

}  // namespace ktlsim::transport
