// Deals images out to libtorch's threads and ties the sweeps into autograd.
#include "nets/fused/block.h"

#include <torch/csrc/autograd/custom_function.h>

#include "core/parallel_for.h"
#include "nets/fused/kernels.h"

namespace retort::nets {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

FusedShape shape_of(const at::Tensor& z, bool relu, bool pool) {
  return {z.size(2), z.size(3), z.size(1), relu, pool};
}

// Sums [N, C] over N in order.
at::Tensor sum_rows(const at::Tensor& parts) {
  at::Tensor total = parts.select(0, 0).to(at::kDouble);
  for (int64_t n = 1; n < parts.size(0); ++n) total.add_(parts.select(0, n));
  return total.to(at::kFloat);
}

class FusedBlock : public torch::autograd::Function<FusedBlock> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& z_any,
                            const at::Tensor& gain_any, const at::Tensor& shift_any, bool relu,
                            bool pool) {
    const at::Tensor z = z_any.contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor gain = gain_any.contiguous(), shift = shift_any.contiguous();
    const FusedShape shape = shape_of(z, relu, pool);
    const int64_t images = z.size(0), channels = z.size(1), divisor = pool ? 2 : 1;
    const int64_t in_size = channels * z.size(2) * z.size(3);
    const int64_t out_size = in_size / (divisor * divisor);
    at::Tensor out = at::empty({images, channels, z.size(2) / divisor, z.size(3) / divisor},
                               z.options(), at::MemoryFormat::ChannelsLast);
    at::Tensor mean = at::empty({images, channels}, z.options());
    at::Tensor rstd = at::empty({images, channels}, z.options());
    const float *z_data = z.data_ptr<float>(), *gain_data = gain.data_ptr<float>(),
                *shift_data = shift.data_ptr<float>();
    float *out_data = out.data_ptr<float>(), *mean_data = mean.data_ptr<float>(),
          *rstd_data = rstd.data_ptr<float>();
    parallel_for(images, [&](int64_t i) {
      fused_forward(shape, z_data + i * in_size, {gain_data, shift_data}, out_data + i * out_size,
                    {mean_data + i * channels, rstd_data + i * channels});
    });
    context->save_for_backward({z, gain, shift, mean, rstd});
    context->saved_data["relu"] = relu;
    context->saved_data["pool"] = pool;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list cotangents) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "the fused block has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &z = saved[0], &gain = saved[1], &shift = saved[2];
    const at::Tensor dout = cotangents[0].contiguous(at::MemoryFormat::ChannelsLast);
    const FusedShape shape =
        shape_of(z, context->saved_data["relu"].toBool(), context->saved_data["pool"].toBool());
    const int64_t images = z.size(0), channels = z.size(1);
    const int64_t in_size = z.numel() / images, out_size = dout.numel() / images;
    at::Tensor dz = at::empty_like(z, at::MemoryFormat::ChannelsLast);
    at::Tensor dgain = at::empty({images, channels}, z.options());
    at::Tensor dshift = at::empty({images, channels}, z.options());
    const float *z_data = z.data_ptr<float>(), *dout_data = dout.data_ptr<float>(),
                *gain_data = gain.data_ptr<float>(), *shift_data = shift.data_ptr<float>();
    float *mean_data = saved[3].data_ptr<float>(), *rstd_data = saved[4].data_ptr<float>();
    float *dz_data = dz.data_ptr<float>(), *dgain_data = dgain.data_ptr<float>(),
          *dshift_data = dshift.data_ptr<float>();
    parallel_for(images, [&](int64_t i) {
      fused_backward(
          shape, z_data + i * in_size, dout_data + i * out_size, {gain_data, shift_data},
          {mean_data + i * channels, rstd_data + i * channels},
          {dz_data + i * in_size, dgain_data + i * channels, dshift_data + i * channels});
    });
    return {dz, sum_rows(dgain), sum_rows(dshift), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool fused_block_fits(const at::Tensor& z) {
  return z.device().is_cpu() && z.scalar_type() == at::kFloat && z.dim() == 4 && z.numel() > 0;
}

at::Tensor fused_block(const at::Tensor& z, const at::Tensor& gain, const at::Tensor& shift,
                       bool relu, bool pool) {
  TORCH_CHECK(fused_block_fits(z), "the fused block takes float32 [N, C, H, W] on the CPU");
  TORCH_CHECK(gain.numel() == z.size(1) && shift.numel() == z.size(1), "one gain a channel");
  TORCH_CHECK(!pool || (z.size(2) % 2 == 0 && z.size(3) % 2 == 0), "the pool needs even sides");
  return FusedBlock::apply(z, gain, shift, relu, pool);
}

}  // namespace retort::nets
