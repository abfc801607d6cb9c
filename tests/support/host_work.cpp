#include "support/host_work.h"

#include <ATen/record_function.h>
#include <torch/version.h>

#include <atomic>
#include <set>

namespace retort::tests {
namespace {

std::atomic<int64_t> reads, to_host, to_device, sizes, operations;

/// "cpu to device" of a copy, from its two tensors. Newer libtorch records copies without them.
void count_copy(const at::RecordFunction& call) {
  if (TORCH_VERSION_MAJOR > 1) return;
  const auto inputs = call.inputs();
  if (inputs.size() < 2 || !inputs[0].isTensor() || !inputs[1].isTensor()) return;
  const at::Tensor target = inputs[0].toTensor(), source = inputs[1].toTensor();
  if (!target.defined() || !source.defined()) return;
  if (target.is_cpu() && !source.is_cpu()) ++to_host;
  if (!target.is_cpu() && source.is_cpu()) ++to_device;
}

std::unique_ptr<at::ObserverContext> count(const at::RecordFunction& call) {
  static const std::set<std::string> kOfItsOwnSize{
      "aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::bincount", "aten::equal"};
  const std::string name = call.name();
  ++operations;
  if (name == "aten::_local_scalar_dense") ++reads;
  if (name == "aten::copy_") count_copy(call);
  if (kOfItsOwnSize.count(name)) ++sizes;
  return nullptr;
}

}  // namespace

HostWork::HostWork() {
  for (auto* one : {&reads, &to_host, &to_device, &sizes, &operations}) *one = 0;
  handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(&count).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

HostWork::~HostWork() {
  at::removeCallback(handle_);
}

HostWork::Counts HostWork::counts() const {
  return {reads, to_host, to_device, sizes, operations};
}

}  // namespace retort::tests
