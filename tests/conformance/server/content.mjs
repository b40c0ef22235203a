// Small pieces of content.

/** A red PNG of one pixel, base64. */
export const IMAGE =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

/** A WAV file of one sample, base64. */
export const AUDIO = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

export const text = text => ({ type: 'text', text });
export const image = () => ({ type: 'image', data: IMAGE, mimeType: 'image/png' });
export const audio = () => ({ type: 'audio', data: AUDIO, mimeType: 'audio/wav' });
export const embedded = (uri, mimeType, text) => ({ type: 'resource', resource: { uri, mimeType, text } });
export const says = words => ({ content: [text(words)] });
