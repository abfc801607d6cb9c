#include "support/ghost.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/version.h>
#if TORCH_VERSION_MAJOR >= 2
#include <ATen/detail/PrivateUse1HooksInterface.h>
#endif
#include <sys/mman.h>
#include <torch/library.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>
#include <string_view>

namespace retort::tests {
namespace {

constexpr auto kGhost = c10::DeviceType::PrivateUse1;
constexpr size_t kArena = size_t{8} << 30;  // addresses; memory is taken as it is touched

/// The same memory at two addresses: one that the host cannot read, for tensors, and one that the
/// operations use.
class Arena {
 public:
  Arena() {
    const int file = memfd_create("ghost", 0);
    TORCH_CHECK(file >= 0 && ftruncate(file, static_cast<off_t>(kArena)) == 0, "no memory file");
    device_ = static_cast<char*>(mmap(nullptr, kArena, PROT_NONE, MAP_SHARED, file, 0));
    host_ = static_cast<char*>(mmap(nullptr, kArena, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    TORCH_CHECK(device_ != MAP_FAILED && host_ != MAP_FAILED, "no addresses for the ghost device");
    close(file);
  }
  void* take(size_t bytes) {
    const size_t size = room(bytes);
    const std::lock_guard lock(mutex_);
    auto& free = free_[size];
    if (!free.empty()) {
      void* const found = free.back();
      free.pop_back();
      return found;
    }
    TORCH_CHECK(used_ + size <= kArena, "the ghost device is full");
    used_ += size;
    return device_ + used_ - size;
  }
  void give_back(void* memory, size_t bytes) {
    const std::lock_guard lock(mutex_);
    free_[room(bytes)].push_back(memory);
  }
  void* host(const void* memory) const {
    return host_ + (static_cast<const char*>(memory) - device_);
  }

 private:
  static size_t room(size_t bytes) {
    size_t size = 64;
    while (size < bytes) size *= 2;
    return size;
  }
  char *device_ = nullptr, *host_ = nullptr;
  size_t used_ = 0;
  std::map<size_t, std::vector<void*>> free_;
  std::mutex mutex_;
};

Arena& arena() {
  static auto* const one = new Arena;
  return *one;
}

c10::Storage make_storage(size_t bytes) {
  struct Block {
    void* memory;
    size_t bytes;
  };
  auto* block = new Block{arena().take(bytes), bytes};
  c10::DataPtr data(
      block->memory, block,
      [](void* context) {
        auto* held = static_cast<Block*>(context);
        arena().give_back(held->memory, held->bytes);
        delete held;
      },
      ghost_device());
  return c10::Storage(c10::Storage::use_byte_size_t(), bytes, std::move(data), nullptr, false);
}

at::Tensor make_tensor(const c10::Storage& storage, at::ScalarType type, at::IntArrayRef sizes,
                       at::IntArrayRef strides, int64_t offset) {
  at::Tensor made = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(storage), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
      c10::scalarTypeToTypeMeta(type));
  made.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
  made.unsafeGetTensorImpl()->set_storage_offset(offset);
  return made;
}

size_t bytes_of(at::ScalarType type, at::IntArrayRef sizes, at::IntArrayRef strides) {
  int64_t last = 1;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == 0) return 0;
    last += (sizes[d] - 1) * strides[d];
  }
  return static_cast<size_t>(last) * c10::elementSize(type);
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides,
                         c10::optional<at::ScalarType> type, c10::optional<at::Layout>,
                         c10::optional<at::Device>, c10::optional<bool>) {
  const at::ScalarType scalar = type.value_or(at::kFloat);
  return make_tensor(make_storage(bytes_of(scalar, sizes, strides)), scalar, sizes, strides, 0);
}

at::Tensor empty(at::IntArrayRef sizes, c10::optional<at::ScalarType> type,
                 c10::optional<at::Layout> layout, c10::optional<at::Device> device,
                 c10::optional<bool> pinned, c10::optional<at::MemoryFormat> format) {
  const auto like = at::empty(sizes, at::TensorOptions(at::kMeta), format);
  return empty_strided(sizes, like.strides(), type, layout, device, pinned);
}

/// The tensors of one call as the CPU sees them, and the way back.
class Call {
 public:
  at::Tensor on_host(const at::Tensor& tensor) {
    if (!tensor.defined() || tensor.device().type() != kGhost) {
      if (tensor.defined() && tensor.dim() > 0) host_ = true;
      return tensor;
    }
    device_ = true;
    char* const data = static_cast<char*>(arena().host(tensor.storage().data_ptr().get()));
    storages_[data] = tensor.storage();
    // With an allocator, so that an operation may give it another size.
    c10::Storage same(c10::Storage::use_byte_size_t(), tensor.storage().nbytes(),
                      c10::DataPtr(data, at::Device(at::kCPU)), c10::GetAllocator(at::kCPU), true);
    at::Tensor seen = at::detail::make_tensor<c10::TensorImpl>(
        std::move(same), c10::DispatchKeySet(c10::DispatchKey::CPU), tensor.dtype());
    seen.unsafeGetTensorImpl()->set_sizes_and_strides(tensor.sizes(), tensor.strides());
    seen.unsafeGetTensorImpl()->set_storage_offset(tensor.storage_offset());
    given_.emplace_back(seen, tensor);
    return seen;
  }
  at::Tensor on_device(const at::Tensor& tensor) const {
    if (!tensor.defined()) return tensor;
    for (const auto& [seen, given] : given_)
      if (seen.is_same(tensor)) return resized(seen, given);
    const auto whole = storages_.find(static_cast<char*>(tensor.storage().data_ptr().get()));
    if (whole != storages_.end() && tensor.numel() > 0)
      return make_tensor(whole->second, tensor.scalar_type(), tensor.sizes(), tensor.strides(),
                         tensor.storage_offset());
    const at::Tensor made =
        empty_strided(tensor.sizes(), tensor.strides(), tensor.scalar_type(), {}, {}, {});
    if (tensor.numel() == 0) return made;
    Call way;
    way.on_host(made).copy_(tensor);
    return made;
  }
  /// `given`, where the operation gave `seen` another size: with that size and its values.
  static at::Tensor resized(const at::Tensor& seen, const at::Tensor& given) {
    const void* const data = arena().host(given.storage().data_ptr().get());
    auto* const impl = given.unsafeGetTensorImpl();
    if (seen.storage().data_ptr().get() != data && seen.numel() > 0) {
      const size_t bytes = seen.storage().nbytes();
      impl->set_storage_keep_dtype(make_storage(bytes));
      std::memcpy(arena().host(given.storage().data_ptr().get()), seen.storage().data_ptr().get(),
                  bytes);
    }
    if (seen.sizes() != given.sizes() || seen.strides() != given.strides())
      impl->set_sizes_and_strides(seen.sizes(), seen.strides());
    return given;
  }
  bool mixed() const { return host_ && device_; }
  bool device() const { return device_; }

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> given_;
  std::map<char*, c10::Storage> storages_;
  bool host_ = false, device_ = false;
};

c10::IValue on_host(Call& call, const c10::IValue& value, bool& made_there) {
  if (value.isTensor()) return call.on_host(value.toTensor());
  if (value.isDevice() && value.toDevice().type() == kGhost) {
    made_there = true;
    return at::Device(at::kCPU);
  }
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& one : value.toTensorVector()) list.push_back(call.on_host(one));
    return list;
  }
  if (value.isList() && value.toListRef().size() > 0 && value.isOptionalTensorList()) {
    c10::List<c10::optional<at::Tensor>> list;
    for (const c10::optional<at::Tensor> one : value.toOptionalTensorList())
      list.push_back(one ? c10::optional<at::Tensor>(call.on_host(*one)) : one);
    return list;
  }
  return value;
}

c10::IValue on_device(const Call& call, const c10::IValue& value) {
  if (value.isTensor()) return call.on_device(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& one : value.toTensorVector()) list.push_back(call.on_device(one));
    return list;
  }
  return value;
}

/// Any operation: by the CPU's kernel on the same memory.
void by_the_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const at::AutoDispatchBelowADInplaceOrView below;
  const size_t arguments = op.schema().arguments().size();
  Call call;
  bool made_there = false;
  for (size_t i = stack->size() - arguments; i < stack->size(); ++i)
    (*stack)[i] = on_host(call, (*stack)[i], made_there);
  const std::string& name = op.schema().name();
  const bool index = name == "aten::index" || name.find("index_put") != std::string::npos;
  TORCH_CHECK(index || !call.mixed(), name, ": tensors of the host and of the device in one call");
  op.callBoxed(stack);
  if (!call.device() && !made_there) return;
  for (size_t i = stack->size() - op.schema().returns().size(); i < stack->size(); ++i)
    (*stack)[i] = on_device(call, (*stack)[i]);
}

at::Tensor copy_from(const at::Tensor& source, const at::Tensor& target, bool) {
  const at::AutoDispatchBelowADInplaceOrView below;
  Call call;
  if (source.numel() > 0) call.on_host(target).copy_(call.on_host(source));
  return target;
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight,
                       const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, int64_t groups) {
  Call call;
  c10::optional<at::Tensor> on_host;
  if (bias && bias->defined()) on_host = call.on_host(*bias);
  const auto result = at::convolution(call.on_host(input), call.on_host(weight), on_host, stride,
                                      padding, dilation, transposed, output_padding, groups);
  TORCH_CHECK(!call.mixed(), "convolution: tensors of the host and of the device in one call");
  return call.on_device(result);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& cotangent, const at::Tensor& input, const at::Tensor& weight,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, int64_t groups, std::array<bool, 3> wanted) {
  Call call;
  const auto [of_input, of_weight, of_bias] = at::convolution_backward(
      call.on_host(cotangent), call.on_host(input), call.on_host(weight),
      wanted[2] ? at::OptionalIntArrayRef(at::IntArrayRef(weight.sizes().data(), 1)) : c10::nullopt,
      stride, padding, dilation, transposed, output_padding, groups, wanted);
  TORCH_CHECK(!call.mixed(), "convolution_backward: tensors of the host and of the device");
  return {call.on_device(of_input), call.on_device(of_weight), call.on_device(of_bias)};
}

/// One device with one stream that is always done.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kGhost; }
  c10::Device exchangeDevice(c10::Device) const override { return ghost_device(); }
  c10::Device getDevice() const override { return ghost_device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex,
              const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

}  // namespace

at::Device ghost_device() {
#if TORCH_VERSION_MAJOR >= 2
  // Else autograd asks CUDA for streams where libtorch has it, driver or not. Not before the ghost
  // is used: a true device needs those streams.
  static const bool known = [] {
    struct Hooks final : at::PrivateUse1HooksInterface {
      bool isAvailable() const { return true; }  // virtual in newer ones only
      bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
    };
    c10::register_privateuse1_backend("ghost");
    at::RegisterPrivateUse1HooksInterface(new Hooks);
    return true;
  }();
  (void)known;
#endif
  return at::Device(kGhost, 0);
}

}  // namespace retort::tests

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&retort::tests::by_the_cpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &retort::tests::empty);
  m.impl("empty_strided", &retort::tests::empty_strided);
  m.impl("_copy_from", &retort::tests::copy_from);
  m.impl("convolution_overrideable", &retort::tests::convolution);
  m.impl("convolution_backward_overrideable", &retort::tests::convolution_backward);
}
