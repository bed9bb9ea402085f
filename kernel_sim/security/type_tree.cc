#include "kernel_sim/security/type_tree.h"

namespace ktlsim::security {
namespace {

bool IsThereBefore(std::span<const ObjectType> types, std::size_t index) {
  for (std::size_t i = 0; i < index; ++i) {
    if (*types[i].type == *types[index].type) return true;
  }
  return false;
}

void AllowOne(AccessMask mask, TypeResult::Counts* counts) {
  counts->granted |= mask & ~counts->denied;
}

void DenyOne(AccessMask mask, TypeResult::Counts* counts) {
  counts->denied |= mask & ~counts->granted;
}

}  // namespace

Fault TypeTree::Check(std::span<const ObjectType> types) {
  if (types.size() > kObjectTypesMax) return Fault::kInvalidParameter;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::size_t level = types[i].level;
    const std::size_t lowest = i == 0 ? 0 : 1;
    const std::size_t highest = i == 0 ? 0 : types[i - 1].level + std::size_t{1};
    if (types[i].type == nullptr || level < lowest || level > highest || level > kObjectLevelMax ||
        IsThereBefore(types, i)) {
      return Fault::kInvalidParameter;
    }
  }
  return Fault::kNone;
}

std::optional<std::size_t> TypeTree::Find(const Guid& type) const {
  for (std::size_t i = 0; i < types_.size(); ++i) {
    if (*types_[i].type == type) return i;
  }
  return std::nullopt;
}

void TypeTree::Allow(std::size_t index, AccessMask mask) {
  const std::size_t end = EndOf(index);
  for (std::size_t i = index; i < end; ++i) AllowOne(mask, &results_[i].counts);
  for (auto parent = ParentOf(index); parent; parent = ParentOf(*parent)) {
    AllowOne(mask & GrantedBelow(*parent), &results_[*parent].counts);
  }
}

void TypeTree::Deny(std::size_t index, AccessMask mask) {
  // What is granted here is granted to all below, and this ACE comes too late.
  mask &= ~granted(index);
  const std::size_t end = EndOf(index);
  for (std::size_t i = index; i < end; ++i) DenyOne(mask, &results_[i].counts);
  for (auto parent = ParentOf(index); parent; parent = ParentOf(*parent)) {
    DenyOne(mask, &results_[*parent].counts);
  }
}

bool TypeTree::Decided(AccessMask mask) const {
  for (const TypeResult& result : results_) {
    if ((mask & ~(result.counts.granted | result.counts.denied)) != 0) return false;
  }
  return true;
}

void TypeTree::Clear() {
  for (TypeResult& result : results_) result.counts = {};
}

std::size_t TypeTree::EndOf(std::size_t index) const {
  std::size_t end = index + 1;
  while (end < types_.size() && types_[end].level > types_[index].level) ++end;
  return end;
}

std::optional<std::size_t> TypeTree::ParentOf(std::size_t index) const {
  for (std::size_t i = index; i > 0; --i) {
    if (types_[i - 1].level < types_[index].level) return i - 1;
  }
  return std::nullopt;
}

AccessMask TypeTree::GrantedBelow(std::size_t index) const {
  AccessMask all = ~AccessMask{0};
  const std::size_t end = EndOf(index);
  for (std::size_t i = index + 1; i < end; ++i) {
    if (types_[i].level == types_[index].level + 1) all &= results_[i].counts.granted;
  }
  return all;
}

}  // namespace ktlsim::security
