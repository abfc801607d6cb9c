#include "nets/onednn/conv.h"

#include <array>
#include <stdexcept>
#include <unordered_map>

#include "nets/onednn/primitive.h"

namespace retort::nets {
namespace {

using dnnl::memory;

constexpr auto kFloat = memory::data_type::f32;

/// Cells of 4x4 outputs in a call from which Winograd is faster than the direct convolution on
/// AVX-512, by product (5 images of side 8 have 20). Measured at 32 to 256 channels, sides 8 to 32.
constexpr std::array<int64_t, 3> kWinogradCells{20, 20, 8};

bool has(dnnl::cpu_isa set) {
  const auto bits = static_cast<unsigned>(set);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

memory::format_tag blocked_tag() {
  return channel_block() == 16 ? memory::format_tag::nChw16c : memory::format_tag::nChw8c;
}

memory::desc layout_of(int64_t images, int64_t channels, int64_t height, int64_t width) {
  const bool plain = channels <= 4;
  return {
      {images, channels, height, width}, kFloat, plain ? memory::format_tag::nchw : blocked_tag()};
}

}  // namespace

int64_t channel_block() {
  static const int64_t block = has(dnnl::cpu_isa::avx512_core) ? 16
                               : has(dnnl::cpu_isa::avx2)      ? 8
                                                               : 0;
  return block;
}

bool by_winograd(const ConvShape& s) {
  if (s.kernel != 3 || s.padding != 1 || s.in % 16 != 0 || s.out % 16 != 0) return false;
  const int64_t cells = s.images * ((s.height + 3) / 4) * ((s.width + 3) / 4);
  if (!kDnnlHasWinograd || channel_block() < 16) return false;  // none below AVX-512
  return cells >= kWinogradCells[static_cast<size_t>(s.product)];
}

const ConvPlan& ConvPlans::get(const ConvShape& shape) {
  const std::lock_guard<std::mutex> guard(mutex_);
  const auto found = plans_.find(shape);
  return found != plans_.end() ? found->second : plans_.emplace(shape, make(shape)).first->second;
}

ConvPlan ConvPlans::make(const ConvShape& s) const {
  const int64_t height = s.height + 2 * s.padding - s.kernel + 1;
  const int64_t width = s.width + 2 * s.padding - s.kernel + 1;
  const memory::desc input = layout_of(s.images, s.in, s.height, s.width);
  const memory::desc output = layout_of(s.images, s.out, height, width);
  const memory::desc weight({s.out, s.in, s.kernel, s.kernel}, kFloat, memory::format_tag::any);
  const auto algorithm =
      by_winograd(s) ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const ConvLayouts layouts{input, weight, output, {s.padding, s.padding}};
  switch (s.product) {
    case Product::kForward: {
      const auto made = describe_forward(engine_, algorithm, layouts, attributes);
      return {dnnl::convolution_forward(made), made.src_desc(), made.weights_desc(),
              made.dst_desc(), made.scratchpad_desc()};
    }
    case Product::kInput: {
      using Primitive = dnnl::convolution_backward_data;
      const auto made = describe_backward<Primitive>(engine_, algorithm, layouts, attributes);
      return {Primitive(made), made.diff_src_desc(), made.weights_desc(), made.diff_dst_desc(),
              made.scratchpad_desc()};
    }
    case Product::kWeight: {
      using Primitive = dnnl::convolution_backward_weights;
      const auto made = describe_backward<Primitive>(engine_, algorithm, layouts, attributes);
      return {Primitive(made), made.src_desc(), made.diff_weights_desc(), made.diff_dst_desc(),
              made.scratchpad_desc()};
    }
  }
  throw std::logic_error("a convolution is one of three products");
}

memory::desc plain_weight(int64_t out, int64_t in, int64_t kernel) {
  return {{out, in, kernel, kernel}, kFloat, memory::format_tag::oihw};
}

void reorder(const dnnl::engine& engine, const memory::desc& from, const float* source,
             const memory::desc& to, float* target, bool add) {
  dnnl::primitive_attr attributes;
  if (add) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  memory in(from, engine, const_cast<float*>(source)), out(to, engine, target);
  dnnl::stream stream(engine);
  dnnl::reorder(dnnl::reorder::primitive_desc(engine, from, engine, to, attributes))
      .execute(stream, in, out);
}

void run(const dnnl::engine& engine, const ConvPlan& plan, Product product, const float* input,
         const float* weight, const float* output, float* scratch) {
  const auto memory_at = [&](const memory::desc& layout, const float* data) {
    return memory(layout, engine, const_cast<float*>(data));
  };
  const memory x = memory_at(plan.input, input), w = memory_at(plan.weight, weight),
               y = memory_at(plan.output, output), extra = memory_at(plan.scratch, scratch);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SCRATCHPAD, extra}};
  switch (product) {
    case Product::kForward:
      arguments.insert({{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}});
      break;
    case Product::kInput:
      arguments.insert({{DNNL_ARG_DIFF_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DIFF_DST, y}});
      break;
    case Product::kWeight:
      arguments.insert({{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_WEIGHTS, w}, {DNNL_ARG_DIFF_DST, y}});
      break;
  }
  dnnl::stream stream(engine);
  plan.primitive.execute(stream, arguments);
}

}  // namespace retort::nets
