/** The study as /api/studies/<pk>/ tells it (clinic/serializers.py). */

import type { Box } from "./boxes";

export interface Overlay {
  url: string;
  rows: number;
  columns: number;
  peak: [number, number] | null;
}

export interface StudyImage {
  pk: number;
  url: string;
  label: string;
  shown: boolean;
  revision: number;
  state: string;
  code: string;
  marking: "" | "suspicious" | "confident";
  reason: string;
  score: string;
  voted: boolean;
  overlays: Record<string, Overlay>;
}

export interface Study {
  pk: number;
  revision: number;
  state: string;
  disputed: boolean;
  prediction: { pk: number; model: string; explanation: string } | null;
  images: StudyImage[];
  reviews: { pk: number; verdict: string; boxes: Box[] }[];
}

export type Method = "lrp" | "gradcam";

export const METHODS: Record<Method, string> = { lrp: "LRP", gradcam: "Grad-CAM" };
