// Descriptions of convolutions for oneDNN 2 (Debian 12) and 3 (Debian 13), whose constructors
// differ. Stride 1.
#pragma once

#include <dnnl.hpp>

namespace retort::nets {

/// True where this oneDNN has a float32 Winograd on AVX-512: it was taken out in version 3.
constexpr bool kDnnlHasWinograd = DNNL_VERSION_MAJOR < 3;

/// Layouts of a convolution's three tensors, and the padding on every side.
struct ConvLayouts {
  dnnl::memory::desc input, weight, output;
  dnnl::memory::dims padding;
};

inline dnnl::convolution_forward::primitive_desc describe_forward(
    const dnnl::engine& engine, dnnl::algorithm way, const ConvLayouts& l,
    const dnnl::primitive_attr& attributes = {}) {
  const dnnl::memory::dims ones{1, 1};
#if DNNL_VERSION_MAJOR >= 3
  return {engine,    dnnl::prop_kind::forward_training,
          way,       l.input,
          l.weight,  l.output,
          ones,      l.padding,
          l.padding, attributes};
#else
  return {{dnnl::prop_kind::forward_training, way, l.input, l.weight, l.output, ones, l.padding,
           l.padding},
          attributes,
          engine};
#endif
}

/// `Primitive`: dnnl::convolution_backward_data or _weights.
template <class Primitive>
typename Primitive::primitive_desc describe_backward(const dnnl::engine& engine,
                                                     dnnl::algorithm way, const ConvLayouts& l,
                                                     const dnnl::primitive_attr& attributes = {}) {
  const dnnl::memory::dims ones{1, 1};
  const auto forward = describe_forward(engine, dnnl::algorithm::convolution_auto, l, attributes);
#if DNNL_VERSION_MAJOR >= 3
  return {engine, way,       l.input,   l.weight, l.output,
          ones,   l.padding, l.padding, forward,  attributes};
#else
  return {
      {way, l.input, l.weight, l.output, ones, l.padding, l.padding}, attributes, engine, forward};
#endif
}

inline dnnl::memory::dims dims_of(const dnnl::memory::desc& layout) {
#if DNNL_VERSION_MAJOR >= 3
  return layout.get_dims();
#else
  return layout.dims();
#endif
}

}  // namespace retort::nets
