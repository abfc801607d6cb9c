// The coefficients of norms.h with derivatives along a direction of the parameters: a dot is a
// derivative, x = z - mean, n = rstd x, r the mean of n x. over what is normalised together.
#pragma once

#include "nets/graph/norms.h"

namespace retort::nets {

/// Of images' maps [rows, C]: means, sums of squared deviations, means of tangents, sums of
/// products of deviations of both.
struct DualMoments {
  float *mean, *squares, *tangent_mean, *product;
  MapMoments maps() const { return {mean, squares}; }
};

/// y. = slope z + scale z. + level; `mean` is the derivative of the coefficient mean.
struct TangentCoefficients {
  ByChannel mean, covariance, slope, level;
};
/// `direction` is as theta.
void tangent_coefficients(const NormCall& call, const float* direction, const DualMoments& maps,
                          const NormCoefficients& found, const TangentCoefficients& into);

/// Of images' maps [rows, C]: sums of g, g x, g., g. x and g x..
struct DualMapSums {
  float *g, *g_x, *gt, *gt_x, *g_xt;
  MapSums values() const { return {g, g_x}; }
};
/// dz. = p g. + p. g + q x. + q. x + r., where p. is the slope of the way there.
struct TangentSlopes {
  ByChannel q, r;
};
void tangent_slopes(const NormCall& call, const float* direction, const DualMapSums& sums,
                    const NormCoefficients& found, const TangentCoefficients& along,
                    const TangentSlopes& into);

/// A norm on its way back: its slopes and their derivatives.
struct DualBack {
  const NormCoefficients& found;
  const TangentCoefficients& along;
  const NormSlopes& slopes;
  const TangentSlopes& tangents;
};
/// Adds derivatives of the cotangents of gain, shift and the convolution's bias.
void add_tangent_parameters(const NormCall& call, const DualMapSums& sums, const DualMoments& maps,
                            const DualBack& back, float* dtheta);

}  // namespace retort::nets
