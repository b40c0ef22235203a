// Event store for resumed streams: the events of one session, in order.

export class EventLog {
    #events = [];

    async storeEvent(stream, message) {
        this.#events.push({ stream, message });
        return String(this.#events.length);
    }

    async getStreamIdForEventId(id) {
        return this.#events[Number(id) - 1]?.stream;
    }

    async replayEventsAfter(id, { send }) {
        const stream = await this.getStreamIdForEventId(id);
        for (const [index, event] of this.#events.entries()) {
            const isNews = index >= Number(id) && event.stream === stream;
            // An event without a message only opened the stream.
            if (isNews && Object.keys(event.message).length > 0) await send(String(index + 1), event.message);
        }
        return stream;
    }
}
