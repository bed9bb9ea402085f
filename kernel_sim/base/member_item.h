// MemberItem: a work item that calls a member function of the object that it belongs to.
//
//   class Stream {
//     void Finish();
//     MemberItem<&Stream::Finish> farewell_{*this};
//   };
#pragma once

#include "kernel_sim/base/work_item.h"

namespace ktlsim {

template <auto kFunction>
class MemberItem;

// The function is part of the type, so the call costs what a routine written by hand costs. The
// owner, and the item with it, may be destroyed from inside the function.
template <typename Owner, void (Owner::*kFunction)()>
class MemberItem<kFunction> final : public WorkItem {
 public:
  explicit MemberItem(Owner& owner)
      : WorkItem([](WorkItem& item) { (static_cast<MemberItem&>(item).owner_.*kFunction)(); }),
        owner_(owner) {}

 private:
  Owner& owner_;
};

}  // namespace ktlsim
